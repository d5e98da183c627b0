"""How sure we are after a call: what never left, what was answered, what nobody knows."""

import gzip
import itertools
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from paymentvault import http
from paymentvault.http import Answer, NotSent, OutcomeUnknown, Transport
from tests.paymentvault.wire import Wire, certificate, closed_port, reset, says, tls_server

HERE = Transport(allow_private=True, allow_http=True, connect_timeout_s=2, read_timeout_s=0.6)
SECRET_PATH = "/mifos-webhook/canary-in-the-path"
OK = b"HTTP/1.1 200 OK\r\n"


def sized(body, *headers):
    lines = [b"Content-Length: %d" % len(body), *headers]
    return OK + b"\r\n".join(lines) + b"\r\n\r\n" + body


def post(url, transport=HERE, **more):
    more = {"json": {"Amount": "10"}, "auth": ("canary-user", "canary-password"), **more}
    return transport.send("POST", url + SECRET_PATH, **more)


def dripping(*heads, gap_s=0.05):
    """Say the beginning, then a byte at a time, for ever."""

    def speak(connection):
        connection.sendall(b"".join(heads))
        for byte in itertools.cycle(b"x"):
            time.sleep(gap_s)
            connection.sendall(bytes([byte]))

    return speak


def endlessly(part):
    def speak(connection):
        while True:
            connection.sendall(part)
            time.sleep(0.01)

    return speak


@pytest.fixture
def count():
    """How often a server was asked."""
    return lambda wire: len([head for head in wire.requests if head])


UNKNOWN = {
    "reads and never answers": lambda c: time.sleep(1.5),
    "resets": reset,
    "hangs up": says(b""),
    "hangs up in the status line": says(b"HTTP/1.1 20"),
    "no HTTP": says(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a status that is no number": says(b"HTTP/1.1 yes OK\r\n\r\n"),
    "a body cut off": says(OK + b"Content-Length: 100\r\n\r\n{"),
    "a body without a length that never ends": dripping(OK + b"\r\n"),
    "a chunk cut off": says(OK + b"Transfer-Encoding: chunked\r\n\r\n40\r\n{"),
    "a chunk of no size": says(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "chunks without an end": says(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "two lengths": says(OK + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}"),
    "a length that is too large": says(OK + b"Content-Length: 99999999999\r\n\r\n{}"),
    "not gzip": says(sized(b"{}", b"Content-Encoding: gzip")),
    "a body that drips": dripping(OK + b"Content-Length: 1000\r\n\r\n"),
    "headers that drip": dripping(OK + b"X-Slow: "),
    "a status line that drips": dripping(b"HTTP/1.1 200 "),
    "100 Continue without end": endlessly(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers without end": endlessly(b"X-More: and more\r\n"),
    "a line without end": says(OK + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n"),
}


@pytest.mark.parametrize("speak", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_left_us_and_got_no_whole_answer_is_unknown_and_sent_once(speak, count):
    began = time.monotonic()

    with Wire(speak) as wire, pytest.raises(OutcomeUnknown) as error:
        post(wire.url)

    assert count(wire) == 1
    assert time.monotonic() - began < 1.4
    assert_gives_nothing_away(error.value)


def assert_gives_nothing_away(error):
    assert str(error)
    assert "canary" not in str(error)


def test_a_name_that_nobody_knows_was_not_sent():
    with pytest.raises(NotSent, match="name can't be looked up") as error:
        post("http://nobody.invalid")

    assert_gives_nothing_away(error.value)


def test_a_connection_that_is_refused_was_not_sent():
    with closed_port() as port, pytest.raises(NotSent, match="refused the connection") as error:
        post(f"http://127.0.0.1:{port}")

    assert_gives_nothing_away(error.value)


def test_a_connection_that_nobody_answers_was_not_sent():
    # TEST-NET-1; where there is no route at all, it is refused at once.
    with pytest.raises(NotSent):
        post("http://192.0.2.1", Transport(True, True, connect_timeout_s=0.3))


def test_a_server_that_speaks_no_tls_was_sent_nothing():
    with Wire(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as wire, pytest.raises(NotSent):
        post(wire.url.replace("http:", "https:"))

    assert b"canary" not in b"".join(wire.requests)


def test_a_handshake_that_never_ends_was_not_sent():
    with Wire(lambda c: time.sleep(1.5)) as wire, pytest.raises(NotSent):
        post(wire.url.replace("http:", "https:"), Transport(True, connect_timeout_s=0.3))


@pytest.fixture(scope="module")
def self_signed():
    return certificate()


@pytest.fixture
def secure(self_signed, tmp_path):
    with Wire(says(sized(b"{}")), tls=tls_server(tmp_path, *self_signed)) as wire:
        yield wire


def test_a_ca_bundle_trusts_a_self_signed_server(secure, self_signed):
    answer = post(secure.url, Transport(allow_private=True, ca_bundle=self_signed[0]))

    assert answer.status == 200


@pytest.mark.parametrize("bundle", ["", certificate()[0], "no certificate at all"])
def test_no_other_bundle_does(secure, bundle):
    with pytest.raises(NotSent):
        post(secure.url, Transport(allow_private=True, ca_bundle=bundle))

    assert secure.requests in ([], [b""])


def test_a_ca_bundle_trusts_nothing_at_another_name(secure, self_signed):
    transport = Transport(allow_private=True, ca_bundle=self_signed[0])

    with pytest.raises(NotSent, match="TLS certificate"):
        post(secure.url.replace("127.0.0.1", "localhost"), transport)


def test_what_drips_over_tls_is_cut_off_too(self_signed, tmp_path):
    transport = Transport(True, ca_bundle=self_signed[0], read_timeout_s=0.5)
    tls, began = tls_server(tmp_path, *self_signed), time.monotonic()

    with Wire(dripping(OK + b"\r\n"), tls=tls) as wire, pytest.raises(OutcomeUnknown):
        post(wire.url, transport)

    assert time.monotonic() - began < 1.2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_never_followed(status, count):
    with Wire(says(sized(b"elsewhere"))) as elsewhere:
        head = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {elsewhere.url}/\r\n".encode()
        with Wire(says(head + b"Content-Length: 0\r\n\r\n")) as wire:
            answer = post(wire.url)

    assert answer.status == status
    assert (count(wire), elsewhere.connections) == (1, 0)


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500, 502, 503, 504])
def test_every_status_is_an_answer_and_nothing_is_sent_again(status, count):
    head = f"HTTP/1.1 {status} So\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n{{}}".encode()

    with Wire(says(head)) as wire:
        answer = post(wire.url)

    assert (answer.status, answer.object, count(wire)) == (status, {}, 1)


WHOLE = {
    "204": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), (204, "")),
    "nothing at all in it": (says(OK + b"Content-Length: 0\r\n\r\n"), (200, "")),
    "no content type": (says(sized(b'{"a": 1}')), (200, '{"a": 1}')),
    "a wrong content type": (says(sized(b"{}", b"Content-Type: image/png")), (200, "{}")),
    "100 Continue before": (says(b"HTTP/1.1 100 Continue\r\n\r\n", sized(b"{}")), (200, "{}")),
    "gzip": (says(sized(gzip.compress(b"{}"), b"Content-Encoding: gzip")), (200, "{}")),
    "a header without a colon": (says(OK + b"nonsense\r\nContent-Length: 2\r\n\r\n{}"), None),
    # It tells nothing, and no client takes that for a yes.
    "hangs up in the headers": (says(OK + b"Content-Le"), (200, "")),
    "not UTF-8": (says(sized(b"\xff\xfe")), (200, "\ufffd\ufffd")),
    "until it hangs up": (says(OK + b"\r\n{}"), (200, "{}")),
}


@pytest.mark.parametrize("speak, expected", WHOLE.values(), ids=WHOLE.keys())
def test_odd_answers_that_are_whole_are_answers(speak, expected):
    with Wire(speak) as wire:
        answer = post(wire.url)

    assert expected is None or (answer.status, answer.text) == expected


def test_early_hints_are_no_yes():
    with Wire(says(b"HTTP/1.1 103 Early Hints\r\n\r\n", sized(b"{}"))) as wire:
        answer = post(wire.url)

    assert answer.status == 103


def large(wire_body, *headers):
    return says(sized(wire_body, *headers))


@pytest.mark.parametrize(
    "speak",
    [
        large(b"x" * (http.MAX_ANSWER_BYTES + 1)),
        large(gzip.compress(b"\0" * 300_000_000, 9), b"Content-Encoding: gzip"),
        large(gzip.compress(gzip.compress(b"\0" * 30_000_000)), b"Content-Encoding: gzip, gzip"),
    ],
    ids=["large", "gzip bomb", "gzip in gzip"],
)
def test_an_answer_that_is_too_large_is_unknown_and_not_held_in_memory(speak):
    patient = Transport(True, True, read_timeout_s=10)
    tracemalloc.start()

    with Wire(speak) as wire, pytest.raises(OutcomeUnknown, match="too large"):
        post(wire.url, patient)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * http.MAX_ANSWER_BYTES


def test_an_answer_just_small_enough_is_read():
    with Wire(large(b"x" * http.MAX_ANSWER_BYTES)) as wire:
        assert len(post(wire.url, Transport(True, True)).text) == http.MAX_ANSWER_BYTES


@pytest.mark.parametrize("transport", [HERE, Transport()])
@pytest.mark.parametrize(
    "url",
    [
        "", "mifos.test", "//mifos.test", "https://", "https:///", "https://[::1",
        "https://mifos.test:port", "https://mifos.test:99999", "file:///etc/passwd",
        "gopher://127.0.0.1:70", "ftp://127.0.0.1", "https://a\nb.test", "https://exa mple.invalid",
        "https://xn--.invalid", f"https://{'a' * 70}.test", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_what_is_no_web_address_is_not_sent(url, transport):
    with pytest.raises(NotSent) as error:
        post(url, transport)

    assert_gives_nothing_away(error.value)


def test_plain_http_is_refused_unless_allowed(count):
    with Wire(says(sized(b"{}"))) as wire, pytest.raises(NotSent, match="only https"):
        post(wire.url, Transport(allow_private=True))

    assert wire.connections == 0


@pytest.mark.parametrize("header", ["a\r\nX-Injected: 1", "a\nb"])
def test_a_header_cannot_be_split(header):
    with Wire(says(sized(b"{}"))) as wire, pytest.raises(NotSent, match="header"):
        post(wire.url, headers={"Fineract-Platform-TenantId": header})

    assert wire.connections == 0


def test_credentials_are_sent_as_utf_8():
    with Wire(says(sized(b"{}"))) as wire:
        post(wire.url, auth=("vault", "pässwörd€"))

    assert b"Basic dmF1bHQ6cMOkc3N3w7ZyZOKCrA==" in wire.requests[0]


def test_the_environment_has_no_say(monkeypatch, tmp_path, count):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login stranger password stranger\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")

    with Wire(says(sized(b"{}"))) as proxy, Wire(says(sized(b"{}"))) as wire:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        post(wire.url, auth=None)

    assert (count(wire), proxy.connections) == (1, 0)
    assert b"Authorization" not in wire.requests[0]


def test_each_call_has_a_connection_of_its_own():
    with Wire(says(sized(b"{}", b"Connection: keep-alive"))) as wire:
        for _ in range(3):
            post(wire.url)

    assert wire.connections == 3


def test_a_call_in_time_is_not_cut_off_by_the_one_before():
    with Wire(says(sized(b"{}"))) as wire:
        post(wire.url)
        time.sleep(0.7)

        assert post(wire.url).status == 200


def how_it_ends(url):
    try:
        return post(url)
    except (NotSent, OutcomeUnknown) as error:
        return type(error)


def test_one_threads_connection_does_not_make_anothers_refused_one_unknown():
    with Wire(reset) as wire, closed_port() as port, ThreadPoolExecutor(16) as pool:
        urls = [wire.url, f"http://127.0.0.1:{port}"] * 16
        ends = list(pool.map(how_it_ends, urls))

    assert ends == [OutcomeUnknown, NotSent] * 16


@pytest.mark.parametrize(
    "text, body",
    [
        ('{"amount": 10.10}', {"amount": Decimal("10.10")}),
        ("<html>", {}),
        ("", {}),
        ("[1]", {}),
        ('"text"', {}),
        ("NaN", {}),
        ('{"amount": Infinity}', {}),
        ("[" * 100_000, {}),
        ('{"amount": ' + "9" * 5000 + "}", {}),
    ],
)
def test_a_body_is_read_as_an_object_or_not_at_all(text, body):
    assert Answer(200, text).object == body


def test_money_is_decimal():
    assert str(Answer(200, '{"amount": 10.10}').json["amount"]) == "10.10"


def test_an_answer_does_not_show_its_body():
    assert "canary" not in repr(Answer(200, "canary", {"Set-Cookie": "canary"}))
