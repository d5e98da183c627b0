"""The client over real HTTP: what leaves us, how often, and what we know if nothing comes back."""

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from disbursements import mpesa
from disbursements.mpesa import Accepted, Initiator, security_credential
from paymentvault.http import NotSent, OutcomeUnknown, Refused
from paymentvault.sandbox.keys import shared_keys
from paymentvault.sandbox.safaricom import BALANCE, PAYMENTS, STATUS, TOKENS
from tests.disbursements.conftest import INITIATOR, client_at
from tests.samples import AMINA, sample


def pay(client, **changes):
    plain = {
        "originator_conversation_id": "our-id-1", "msisdn": AMINA, "amount_kes": 100,
        "remarks": "DSB-1", "result_url": "https://vault.test/cb/00/r",
        "timeout_url": "https://vault.test/cb/00/t",
    }  # fmt: skip
    return client.pay(**(plain | changes))


@pytest.fixture
def client(safaricom, safaricom_server):
    return client_at(safaricom_server.url)


def requests_to(safaricom, path):
    return [request for request in safaricom.requests if request.path == path]


def test_a_payment_that_m_pesa_takes_is_accepted_and_not_yet_paid(client, safaricom):
    accepted = pay(client)

    assert isinstance(accepted, Accepted)
    assert accepted.originator_conversation_id == "our-id-1"
    assert accepted.conversation_id == safaricom.ledger[0].conversation_id


def test_the_payment_request_has_exactly_the_contracts_keys(client, safaricom):
    pay(client)

    body = requests_to(safaricom, PAYMENTS)[0].body
    assert body.keys() == sample("daraja/request-b2c-v3-official.json").keys()
    assert (body["CommandID"], body["Amount"], body["PartyB"]) == ("BusinessPayment", "100", AMINA)


def test_the_status_query_has_exactly_the_contracts_keys(client, safaricom):
    client.ask_status(originator_conversation_id="our-id-1", result_url="https://vault.test/cb/0/s",
                      timeout_url="https://vault.test/cb/0/t")  # fmt: skip

    body = requests_to(safaricom, STATUS)[0].body
    official = sample("daraja/request-transactionstatus-official.json").keys()
    # Safaricom's page prints these two with a space, a misprint.
    assert body.keys() == {key.replace(" ", "") for key in official}
    assert body["OriginalConversationID"] == "our-id-1"


def test_the_balance_query_has_exactly_the_contracts_keys(client, safaricom):
    client.ask_balance(result_url="https://vault.test/cb/0/b",
                       timeout_url="https://vault.test/cb/0/t")  # fmt: skip

    body = requests_to(safaricom, BALANCE)[0].body
    assert body.keys() == sample("daraja/request-accountbalance-official.json").keys()


@pytest.mark.parametrize("password", ["Safaricom999!", "#&%$(x", "pässwörd", "x" * 245])
def test_the_security_credential_is_the_raw_password_under_the_certificate(password):
    keys = shared_keys()

    made = security_credential(password, keys.certificate_pem)

    assert keys.decrypt(made) == password.encode()
    assert len(made) == 344


def test_a_ready_made_credential_goes_as_it_is():
    assert Initiator("testapi", "ignored", "", "ready==").credential() == "ready=="


def test_two_credentials_of_one_password_differ():
    assert INITIATOR.credential() != INITIATOR.credential()


DER = x509.load_pem_x509_certificate(shared_keys().certificate_pem.encode()).public_bytes(
    Encoding.DER
)


@pytest.mark.parametrize(
    "certificate, password",
    [
        ("", "secret"),
        ("no certificate", "secret"),
        (base64.b64encode(DER).decode(), "secret"),
        (shared_keys().certificate_pem, "x" * 246),
    ],
)
def test_a_credential_that_cannot_be_made_is_a_refusal_and_nothing_leaves(
    safaricom, safaricom_server, certificate, password
):
    client = client_at(safaricom_server.url, initiator=Initiator("testapi", password, certificate))

    with pytest.raises(Refused) as raised:
        pay(client)

    assert raised.value.code == mpesa.BAD_CERTIFICATE
    assert safaricom.requests == []


@pytest.mark.lesson(1)
@pytest.mark.parametrize(
    "fault, ending",
    [
        ("reset", OutcomeUnknown),
        ("error_500", OutcomeUnknown),
        ("html_firewall", OutcomeUnknown),
        ("spike_arrest", NotSent),
        ("quota", NotSent),
        ("refused:400.002.02", Refused),
        ("refused:403.002.1001", Refused),
        ("response_code:1", Refused),
        ("answer_lost", OutcomeUnknown),
        ("answer_lost_no_callback", OutcomeUnknown),
        ("reset_after_acceptance", OutcomeUnknown),
        ("error_500_after_acceptance", OutcomeUnknown),
        ("html_after_acceptance", OutcomeUnknown),
        ("slow:1", OutcomeUnknown),
    ],
)
def test_whatever_goes_wrong_a_payment_leaves_us_once(client, safaricom, fault, ending):
    safaricom.plan(AMINA, fault)

    with pytest.raises(ending):
        pay(client)

    assert len(requests_to(safaricom, PAYMENTS)) == 1
    assert len(requests_to(safaricom, TOKENS)) == 1


def test_the_same_id_again_is_a_duplicate_and_pays_nothing(client, safaricom):
    pay(client)

    with pytest.raises(mpesa.Duplicate):
        pay(client)

    assert len(safaricom.ledger) == 1


def free_port() -> int:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@pytest.mark.parametrize(
    "address",
    [
        lambda server: f"http://127.0.0.1:{free_port()}",
        lambda server: "http://nobody.invalid",
        lambda server: server.url.replace("http:", "https:"),
        lambda server: "http://256.256.256.256",
    ],
    ids=["refused port", "unknown name", "no TLS there", "no address"],
)
def test_before_the_connection_stands_nothing_was_sent(safaricom_server, address):
    client = client_at(address(safaricom_server))
    client.tokens.token = "kept"

    with pytest.raises(NotSent):
        pay(client)


@pytest.fixture
def odd_server() -> Iterator[Callable[..., str]]:
    """A server that reads a request, answers these bytes, and closes or stays silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []
    done = threading.Event()

    def serve(answer: bytes) -> None:
        with listener, closing(listener.accept()[0]) as taken:
            seen.append(taken.recv(65536))
            taken.sendall(answer)
            done.wait(0 if answer else 2)

    def start(answer: bytes) -> str:
        threading.Thread(target=serve, args=(answer,), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    done.set()
    assert len(seen) == 1


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"\x16\x03\x01garbage\r\n\r\n",
        HEAD + b"Content-Length: 500\r\n\r\n{\"ResponseCode\"",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"Res",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\noops",
        HEAD + b"Content-Length: 9000000\r\n\r\n" + b"x" * 9_000_000,
    ],
    ids=["silence", "cut head", "no HTTP", "cut body", "cut chunk", "no gzip", "too large"],
)  # fmt: skip
def test_once_the_connection_stands_the_outcome_is_unknown(odd_server, answer):
    client = client_at(odd_server(answer))
    client.tokens.token = "kept"

    with pytest.raises(OutcomeUnknown):
        pay(client)
