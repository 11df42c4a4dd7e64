"""The azure dialect through AzureOpenAI of the official SDKs."""

import json
import subprocess

import pytest
from test_real_clients import NODE_FOLDER, PROBES, node_sdk, python_sdk
from toomany import PATIENCE_S, environment, serving

TEXT = "This is a test!"
KEY = "0123456789abcdef0123456789abcdef"
WORDS = {
    "429": ("Requests to the ChatCompletions_Create Operation under Azure OpenAI API version "
            "2024-10-21 have exceeded call rate limit of your current OpenAI S0 pricing tier. Please "
            "retry after 30 seconds. Please go here: https://aka.ms/oai/quotaincrease if you would "
            "like to further increase the default rate limit."),
    "RateLimitReached": (
        "Your requests to mini for mini in East US 2 have exceeded the call rate limit for your "
        "current AIServices S0 pricing tier. This request was for ChatCompletions_Create under Azure "
        "OpenAI API version 2024-10-21. Please retry after 30 seconds. To increase your default rate "
        "limit, visit: https://aka.ms/oai/quotaincrease."),
}


@pytest.mark.parametrize("code", WORDS)
@pytest.mark.parametrize("sdk", [
    lambda: [python_sdk()[0], str(PROBES / "azure.py")],
    lambda: [node_sdk()[0], str(PROBES / "azure.mjs")],
], ids=["python", "node"])
def test_azure_clients_find_their_paths_and_errors(tmp_path, sdk, code):
    config = {"rules": {"dialect": "azure", "azure_code": code},
              "models": {"mini": {}, "other": {}}, "only_listed_models": True,
              "api_keys": [KEY], "quotas": {"mini": {"requests_per_minute": 2}}}
    with serving(tmp_path, config) as server:
        finished = subprocess.run(
            [*sdk(), "mini"], capture_output=True, text=True, timeout=PATIENCE_S,
            env=environment(**server.environment(EXAMPLES_NODE=str(NODE_FOLDER))))
    assert (finished.returncode, finished.stderr) == (0, "")
    seen = json.loads(finished.stdout)
    assert seen == {
        "headers": ["1", "-1"],
        "chat": ["mini", TEXT],
        "stream": TEXT,
        "refused": ["RateLimitError", 429, code, WORDS[code]],
        "responses": TEXT,
        "v1": "list",
        "deployment": ["NotFoundError", 404, "DeploymentNotFound",
                       "The API deployment for this resource does not exist. If you created the "
                       "deployment within the last 5 minutes, please wait a moment and try again."],
        "key": ["AuthenticationError", 401, "401",
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to "
                "provide a valid key for an active subscription and use a correct regional API "
                "endpoint for your resource."],
    }
