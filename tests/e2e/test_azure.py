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


@pytest.mark.parametrize("in_file", [False, True], ids=["--api-key", "api_keys"])
def test_azures_header_carries_the_key(tmp_path, in_file):
    """Of the command line and of the file. A bearer token is good too; the api-key goes first."""
    config = {"rules": {"dialect": "azure"}, "models": {"mini": {}},
              **({"api_keys": [KEY]} if in_file else {})}
    options = [] if in_file else ["--api-key", KEY]
    path = "/openai/deployments/mini/chat/completions?api-version=2024-10-21"
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    with serving(tmp_path, config, *options) as server:
        def ask(**headers):
            status, _, answer = server.request(
                "POST", path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            return status, json.loads(answer)

        assert ask(api_key=KEY)[0] == 200
        assert ask(API_Key=KEY)[0] == 200
        assert ask(Authorization=f"Bearer {KEY}")[0] == 200
        assert ask(api_key=KEY, Authorization="Bearer another-0000")[0] == 200
        refused = {"error": {"code": "401", "message": (
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to "
            "provide a valid key for an active subscription and use a correct regional API "
            "endpoint for your resource.")}}
        for headers in ({"api_key": "another-key-0123456789"}, {"api_key": ""}, {},
                        {"api_key": KEY[:-1]}, {"api_key": KEY + "0"}, {"api_key": f"Bearer {KEY}"},
                        {"Authorization": KEY}, {"Authorization": "Bearer another-0000"},
                        {"api_key": "another-key-0123456789", "Authorization": f"Bearer {KEY}"}):
            assert ask(**headers) == (401, refused), headers
        assert {entry["key_tail"] for entry in server.journal()} >= {KEY[-4:], "6789"}
        assert server.stop()[1].count(KEY) == 0


def test_without_the_dialect_azures_header_is_no_key(tmp_path):
    with serving(tmp_path, None, "--api-key", KEY) as server:
        status, _, body = server.request("POST", "/v1/chat/completions", {
            "model": "mini", "messages": [{"role": "user", "content": "Hello"}]}, {"api-key": KEY})
        assert status == 401 and "You didn't provide an API key." in json.loads(body)["error"][
            "message"]
