// net/http and time.Sleep, linked statically: nothing of libc is in it.
package main

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	url := os.Getenv("OPENAI_BASE_URL") + "/chat/completions"
	client := http.Client{Timeout: 100 * time.Hour}
	for {
		body := strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`)
		request, _ := http.NewRequest("POST", url, body)
		request.Header.Set("Authorization", "Bearer sk-test")
		answer, err := client.Do(request)
		if err != nil {
			println(err.Error())
			os.Exit(2)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode == 200 {
			return
		}
		wait, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		time.Sleep(time.Duration(wait) * time.Second)
	}
}
