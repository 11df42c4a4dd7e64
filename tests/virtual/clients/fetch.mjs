// fetch and setTimeout, nothing else.
const url = process.env.OPENAI_BASE_URL + "/chat/completions";
for (;;) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { authorization: "Bearer sk-test", "content-type": "application/json" },
    body: '{"model":"m","messages":[{"role":"user","content":"hi"}]}',
  });
  await answer.text();
  if (answer.status === 200) break;
  const wait = Number(answer.headers.get("retry-after")) * 1000;
  await new Promise((resolve) => setTimeout(resolve, wait));
}
