"""MSAL finds the server by discovery, gets tokens with a key and with assertions, and is told when they are wrong. It
insists on https."""

import datetime
import ipaddress
import json
import os
import pathlib
import socket
import ssl
import tempfile
import threading
from urllib.parse import urlsplit

import msal
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

URL, SID, KEY, ISSUER = (os.environ[name] for name in ("URL", "SID", "KEY", "ISSUER"))
AUDIENCE = os.environ["AUDIENCE"]


def certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    with open(cert_file, "wb") as file:
        file.write(made.public_bytes(serialization.Encoding.PEM))
    with open(key_file, "wb") as file:
        encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        file.write(key.private_bytes(*encoding))
    return cert_file, key_file


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def relay(listener, context, address):
    """Ends TLS and passes everything on, as a proxy in front would."""
    while True:
        plain, _ = listener.accept()
        outer = context.wrap_socket(plain, server_side=True)
        inner = socket.create_connection(address)
        for pair in ((outer, inner), (inner, outer)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


with tempfile.TemporaryDirectory() as folder:
    cert_file, key_file = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    listener = socket.create_server(("127.0.0.1", urlsplit(ISSUER).port))
    host, port = URL.removeprefix("http://").split(":")
    threading.Thread(target=relay, args=(listener, context, (host, int(port))), daemon=True).start()
    session = requests.Session()
    # Neither a proxy nor certificates of the surroundings.
    session.trust_env = False
    session.verify = cert_file

    def client(credential, sid=SID):
        return msal.ConfidentialClientApplication(
            sid, client_credential=credential, oidc_authority=ISSUER, http_client=session, instance_discovery=False
        )

    token = client(KEY).acquire_token_for_client([f"{AUDIENCE}/.default"])
    assert token.get("token_type") == "Bearer", token
    assert client(KEY).authority.token_endpoint == f"{ISSUER}/connect/token"
    assert 86300 < token["expires_in"] <= 86400, token
    who = session.get(f"{ISSUER}/api/v1/whoami", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert who.status_code == 200, who.text
    assert who.json()["scope"] == "billing:read", who.text
    assert who.json()["aud"] in (AUDIENCE, [AUDIENCE]), who.text

    refused = client(KEY[:-1] + "_").acquire_token_for_client([f"{AUDIENCE}/.default"])
    assert refused.get("error") == "invalid_client", refused
    refused = client(KEY).acquire_token_for_client(["billing:write"])
    assert refused.get("error") == "invalid_scope", refused

    # The function of docs/client-authentication.md, as it stands there.
    page = (pathlib.Path(__file__).parents[2] / "docs" / "client-authentication.md").read_text()
    block = next(block for block in page.split("```python\n")[1:] if "msal" in block).split("```")[0]
    app = next(app for app in json.loads(os.environ["APPS"]) if app["alg"] == "RS256")
    for key, error in ((app["key"], None), (app["wrong"], "invalid_client")):
        names = {"APP_SID": app["sid"], "PRIVATE_KEY": key, "ISSUER": ISSUER}
        exec(block.split("app = ")[0], names)
        answer = client({"client_assertion": names["assertion"]}, app["sid"]).acquire_token_for_client(
            [f"{AUDIENCE}/.default"]
        )
        assert answer.get("error") == error, answer
        assert "access_token" in answer or error, answer

    # What it makes by itself is for the token endpoint.
    by_itself = {"private_key": app["key"], "thumbprint": "00" * 20}
    refused = client(by_itself, app["sid"]).acquire_token_for_client([f"{AUDIENCE}/.default"])
    assert refused.get("error") == "invalid_client", refused
