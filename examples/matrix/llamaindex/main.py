"""One call with LlamaIndex's OpenAI class and its default retries.

LlamaIndex counts tokens by a table of models; a name that it knows is sent.
"""

import os

from llama_index.llms.openai import OpenAI

model = OpenAI(model=os.environ["OPENAI_FINE_TUNED_MODEL"], api_base=os.environ.get("OPENAI_BASE_URL"))
print(model.complete("Say hello.").text)
