"""Schemathesis against the management API: requests made from its description, right and wrong ones."""

import json
import os
import subprocess
import sys
import tempfile

import requests

URL, SID, KEY, OTHER = (os.environ[name] for name in ("URL", "SID", "KEY", "OTHER"))

# The app whose token is used must not switch itself off: what is meant for it goes to another.
HOOKS = f"""
import schemathesis

@schemathesis.hook
def before_call(context, case, kwargs):
    parameters = case.path_parameters or {{}}
    if parameters.get("client_id") == {SID!r}:
        parameters["client_id"] = {OTHER!r}
"""

answer = requests.post(f"{URL}/connect/token", auth=(SID, KEY), data={"grant_type": "client_credentials"}, timeout=60)
token = answer.json()["access_token"]
with tempfile.TemporaryDirectory() as home:
    with open(os.path.join(home, "self_preservation.py"), "w", encoding="utf-8") as hooks:
        hooks.write(HOOKS)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{URL}/api/v1/openapi.json"]
    command += ["-H", f"Authorization: Bearer {token}", "--no-color", "--seed", "1", "--workers", "1"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "20", "--max-failures", "20"]
    # How fast this machine is says nothing about the server.
    command += ["--suppress-health-check", "too_slow", "--request-timeout", "60"]
    # The description does not say which scopes there are: right by the schema is not right yet.
    command += ["--exclude-checks", "positive_data_acceptance"]
    environment = {**os.environ, "PYTHONPATH": home, "SCHEMATHESIS_HOOKS": "self_preservation"}
    ran = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=1200, check=False)
if ran.returncode != 0:
    sys.exit(f"{ran.stdout[-6000:]}\n{ran.stderr[-2000:]}")
whoami = requests.get(f"{URL}/api/v1/whoami", headers={"Authorization": f"Bearer {token}"}, timeout=60)
assert whoami.status_code == 200, "the app switched itself off on the way: the rest was not tried"
apps = requests.get(f"{URL}/api/v1/apps?limit=100", headers={"Authorization": f"Bearer {token}"}, timeout=60)
assert len(json.loads(apps.text)["items"]) > 2, "nothing was made"
