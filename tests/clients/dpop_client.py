"""The client of docs/dpop.md, as it stands there, and a thief who has its token."""

import pathlib

page = (pathlib.Path(__file__).parents[2] / "docs" / "dpop.md").read_text()
exec(page.split("```python\n")[1].split("```")[0])

assert granted.status_code == 200 and granted.json()["token_type"] == "DPoP", granted.text
assert answer.status_code == 200 and answer.json()["client_id"] == app[0], answer.text

replayed = requests.get(url, headers=headers)
assert replayed.status_code == 401 and replayed.json()["error"] == "invalid_dpop_proof", replayed.text
stolen = requests.get(url, headers={"Authorization": f"Bearer {token}"})
assert stolen.status_code == 401 and stolen.json()["error"] == "invalid_token", stolen.text
PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
JWK = jwt.algorithms.ECAlgorithm.to_jwk(PRIVATE_KEY.public_key(), as_dict=True)
forged = requests.get(url, headers=headers | {"DPoP": proof("GET", url, token)})
assert forged.status_code == 401 and forged.json()["error"] == "invalid_token", forged.text
