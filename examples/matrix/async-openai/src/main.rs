//! One call with async-openai and its default retries.

use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequestArgs,
};
use async_openai::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let message = ChatCompletionRequestUserMessageArgs::default().content("Say hello.").build()?;
    let request = CreateChatCompletionRequestArgs::default()
        .model(std::env::var("OPENAI_FINE_TUNED_MODEL")?)
        .messages([message.into()])
        .build()?;
    let answer = Client::new().chat().create(request).await?;
    println!("{}", answer.choices[0].message.content.as_deref().unwrap_or(""));
    Ok(())
}
