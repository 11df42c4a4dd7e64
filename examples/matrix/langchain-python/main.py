"""One call with LangChain's ChatOpenAI and its default retries."""

import os

from langchain_openai import ChatOpenAI

model = ChatOpenAI(model=os.environ["OPENAI_FINE_TUNED_MODEL"])
print(model.invoke("Say hello.").content)
