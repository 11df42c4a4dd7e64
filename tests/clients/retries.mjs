// A program as people write it with fetch: five attempts, Retry-After, jitter.
const body = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Say hello." }] };
const headers = {
  authorization: `Bearer ${process.env.OPENAI_API_KEY}`,
  "content-type": "application/json",
};

async function ask() {
  const url = `${process.env.OPENAI_BASE_URL}/chat/completions`;
  const signal = AbortSignal.timeout(60_000);
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (answer.ok) return (await answer.json()).choices[0].message.content;
  const error = new Error(`${answer.status} ${await answer.text()}`);
  error.isFinal = answer.status !== 429 && answer.status < 500;
  error.wait = Number(answer.headers.get("retry-after")) || 0;
  throw error;
}

for (let attempt = 0; ; attempt++) {
  try {
    console.log(await ask());
    break;
  } catch (error) {
    console.error(error.message);
    if (error.isFinal || attempt === 4) process.exit(1);
    const wait = Math.max(error.wait ?? 0, (0.5 + Math.random() / 2) * 2 ** attempt);
    await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
  }
}
