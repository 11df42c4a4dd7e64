import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.models.chat.completions.ChatCompletionCreateParams;

/** One call with openai-java and its default retries. */
public class Main {
    public static void main(String[] arguments) {
        var client = OpenAIOkHttpClient.fromEnv();
        var answer = client.chat().completions().create(ChatCompletionCreateParams.builder()
                .model(System.getenv("OPENAI_FINE_TUNED_MODEL"))
                .addUserMessage("Say hello.")
                .build());
        System.out.println(answer.choices().get(0).message().content().orElse(""));
        client.close();
    }
}
