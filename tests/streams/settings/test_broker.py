"""Settings of the broker: what cannot work is refused with the name of the key, before anything connects."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from streams.kafka.clients import aiokafka_options, ssl_context
from streams.settings.broker import Broker
from streams.settings.section import SettingsError

SASL = {"security_protocol": "SASL_PLAINTEXT", "username": "me"}


@pytest.mark.parametrize("servers", ["kafka:9092", "a:1,b:2", " a:1 , b:2 ", "kafka", "[::1]:9092", "[::1]"])
def test_addresses_of_brokers_are_taken(servers: str) -> None:
    assert Broker(servers=servers).servers == servers


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ("", "no address is given"),
        (" , ", "no address is given"),
        ("kafka:abc", "'kafka:abc' is no host:port"),
        ("kafka:0", "'kafka:0' is no host:port"),
        ("a:1,b:70000", "'b:70000' is no host:port"),
        ("kafka:", "'kafka:' is no host:port"),
        ("SASL_SSL://kafka:9092", "has a scheme"),
    ],
)
def test_what_is_no_address_is_refused(servers: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Broker(servers=servers)


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_needs_a_user_name_and_a_password_where_something_connects(protocol: str) -> None:
    def options(given: dict[str, str]) -> dict[str, Any]:
        return aiokafka_options(Broker.model_validate({"security_protocol": protocol, **given}))

    with pytest.raises(SettingsError, match=rf"^broker\.username: security_protocol {protocol} needs a user name"):
        options({"password": "x"})
    with pytest.raises(SettingsError, match=rf"^broker\.password_file: security_protocol {protocol} needs a password"):
        options({"username": "me"})
    given = options({"username": "me", "password": "x"})
    assert (given["sasl_plain_username"], given["sasl_plain_password"]) == ("me", "x")


def test_a_key_without_a_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"set broker\.ssl_certfile too"):
        Broker.model_validate({"ssl_keyfile": "key.pem"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"\xff\xfe", "it is not UTF-8 text"),
    ],
)
def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    broker = Broker.model_validate({**SASL, "password_file": path})
    with pytest.raises(SettingsError) as caught:
        broker.secret()
    assert str(caught.value).startswith(f"broker.password_file: cannot read {path}: {said}")


def test_a_folder_in_place_of_a_password_file_is_named(tmp_path: Path) -> None:
    broker = Broker.model_validate({**SASL, "password_file": tmp_path})
    with pytest.raises(SettingsError, match="Is a directory; check the path and its permissions"):
        broker.secret()


def test_each_file_of_tls_is_named(tmp_path: Path) -> None:
    cert, key, locked = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "locked.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-subj", "/CN=kafka", "-days", "2"]
    subprocess.run([*made, "-nodes", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    secret = ["-aes128", "-passout", "pass:secret"]
    subprocess.run(["openssl", "rsa", "-in", key, *secret, "-out", locked], check=True, capture_output=True)
    text = tmp_path / "text"
    text.write_text("no certificate")

    def said(**files: Path) -> str:
        with pytest.raises(SettingsError) as caught:
            ssl_context(Broker.model_validate({"security_protocol": "SSL", **files}))
        return str(caught.value)

    missing = tmp_path / "missing"
    assert said(ssl_cafile=missing).startswith(f"broker.ssl_cafile: cannot read {missing}: No such file")
    assert said(ssl_cafile=text).startswith(f"broker.ssl_cafile: {text} has no certificate in PEM")
    assert said(ssl_certfile=cert, ssl_keyfile=missing).startswith(f"broker.ssl_keyfile: cannot read {missing}")
    for wrong in (text, locked):
        assert f"the key in {wrong} cannot be used" in said(ssl_certfile=cert, ssl_keyfile=wrong)
    good = {"security_protocol": "SSL", "ssl_cafile": cert, "ssl_certfile": cert, "ssl_keyfile": key}
    assert ssl_context(Broker.model_validate(good)) is not None
