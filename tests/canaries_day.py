"""A day on which every secret is typed, made, sent, rotated, mistaken and refused.

It is lived for real: people use the pages and the API, Mifos X and M-Pesa are HTTP servers, tasks
go through Redis, and everything commits. What it leaves behind is kept as traces, by surface.
"""

import base64
import contextlib
import io
import json
import logging
import logging.config
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import redis
import structlog
from celery import Task
from django.apps import apps
from django.conf import settings
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from django.template.backends.django import Template
from django.test import Client
from fernet_fields import EncryptedField

from paymentvault import doorbell
from paymentvault.celery import app
from paymentvault.logging import configure_structlog, logging_config
from tests.canaries import Canaries, Traces

KEYS = "canaries:"
"""What the keys of Redis begin with that belong to the day."""
# They hold what was typed as a whole; its secrets are canaries by themselves.
WHOLE_FORMS = {"Job.given", "SettingsChange.proposal"}


class Day:
    """What is known of it: its secrets, and where something of them could have got to."""

    def __init__(self, redis_url: str) -> None:
        self.canaries, self.traces = Canaries(), Traces()
        self.encrypted: set[str] = set()
        """The encrypted fields that a secret was written to."""
        self.log = io.StringIO()
        self.people: dict[str, Recorded] = {}
        self.redis = redis.Redis.from_url(redis_url)
        self.listening = self.redis.pubsub()
        self.listening.psubscribe("*")

    # -- people and programs

    def browser(self, **kept: Any) -> "Recorded":
        return Recorded(self, **kept)

    def learn(self, kind: str, *values: str) -> None:
        self.canaries.learn(kind, *values)

    # -- workers

    def work(self) -> None:
        """Do what the bells rang for, as workers would, until nothing is left to do."""
        while message := self._next():
            self._run(message)

    def _next(self) -> dict[str, Any] | None:
        self.look_into_redis()
        for key in self.redis.scan_iter(f"{KEYS}*", _type="LIST"):
            if raw := self.redis.rpop(key):
                return dict(json.loads(raw))
        return None

    def _run(self, message: dict[str, Any]) -> None:
        task: Task[Any, Any] = app.tasks[message["headers"]["task"]]
        args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
        task.apply(args, kwargs)

    def look_into_redis(self) -> None:
        """Every key, whatever its type is and whoever it belongs to; and what was told there."""
        for key in self.redis.scan_iter(count=1000):
            for text in contents(self.redis, key):
                self.traces.keep("redis", key.decode(errors="replace"), text)
                if key.startswith(KEYS.encode()) and self.redis.type(key) == b"list":
                    self._keep_payload(text)
        while told := self.listening.get_message(ignore_subscribe_messages=True, timeout=0.01):
            self.traces.keep("redis", f"told on {told['channel']!r}", told["data"])

    def _keep_payload(self, text: bytes) -> None:
        message = json.loads(text)
        name = message.get("headers", {}).get("task", "?")
        self.traces.keep("task payloads", name, text)
        self.traces.keep("task payloads", name, base64.b64decode(message["body"]))

    # -- what a day leaves behind

    def keep_tables(self) -> None:
        for table, row in rows_of_all_tables():
            self.traces.keep("database", table, row)

    def keep_log(self) -> None:
        self.traces.keep("log", "lines", self.log.getvalue())


class Recorded(Client):
    """A browser, or a program, whose every answer is kept."""

    def __init__(self, day: Day, *, surface: str = "", **kept: Any) -> None:
        super().__init__(raise_request_exception=False, **kept)
        self.day, self.surface = day, surface

    def request(self, **request: Any) -> Any:
        answer = super().request(**request)
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        if answer.streaming:
            answer.streamed = content
        self._keep(request, answer, content)
        return answer

    def _keep(self, request: dict[str, Any], answer: Any, content: bytes) -> None:
        path, method = request["PATH_INFO"], request["REQUEST_METHOD"]
        place = f"{method} {_name_of(answer)}"
        for text in [content, *unzipped(content)]:
            self.day.traces.keep(self.surface or surface_of(path), place, text)
        headers = "\n".join(f"{name}: {value}" for name, value in answer.items())
        self.day.traces.keep("headers", place, headers)
        for name, cookie in answer.cookies.items():
            self.day.traces.keep("cookies", name, cookie.OutputString())
        if "sessionid" in answer.cookies:
            self.day.learn("session key", answer.cookies["sessionid"].value)
        cached = "no-store" if "no-store" in answer.get("Cache-Control", "") else "may be cached"
        self.day.traces.keep(cached, place, content)

    def open(self, path: str, **typed: Any) -> Any:
        return self.get(path, typed, headers={"accept": "text/html"})

    def press(self, path: str, **typed: Any) -> Any:
        """Send a page's form, with what the page itself put into it."""
        page = self.open(path)
        once = (page.context or {}).get("once") if page.status_code == 200 else None
        return self.post(path, {"once": once or "", "reason": "Their letter of today."} | typed,
                         headers={"accept": "text/html"})  # fmt: skip


def _name_of(answer: Any) -> str:
    try:
        return str(answer.resolver_match.view_name)
    except Exception:
        return "no such address"


def surface_of(path: str) -> str:
    for beginning, surface in (("/admin/", "admin"), ("/api/", "api"), ("/cb/", "programs"),
                               ("/mifos-webhook", "programs")):  # fmt: skip
        if path.startswith(beginning):
            return surface
    return "pages"


def unzipped(content: bytes) -> Iterator[bytes]:
    """What is in a spreadsheet."""
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as whole:
            yield from (whole.read(name) for name in whole.namelist())


def contents(store: Any, key: bytes) -> list[bytes]:
    """What is kept under a key of Redis, whatever its type is."""
    match store.type(key):
        case b"string":
            return [store.get(key) or b""]
        case b"list":
            return list(store.lrange(key, 0, -1))
        case b"set":
            return list(store.smembers(key))
        case b"zset":
            return list(store.zrange(key, 0, -1))
        case b"hash":
            return [part for pair in store.hgetall(key).items() for part in pair]
        case b"stream":
            return [repr(entry).encode() for entry in store.xrange(key)]
        case b"none":
            return []
    raise NotImplementedError(store.type(key))


def rows_of_all_tables() -> Iterator[tuple[str, str]]:
    """Every row that there is, also of tables that no model has; what is in bytes as hex."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        for (table,) in cursor.fetchall():
            # Column by column: a place is where an exception can be named.
            cursor.execute(f"SELECT to_jsonb(t) FROM {table} t")
            for (row,) in cursor.fetchall():
                row = json.loads(row) if isinstance(row, str) else row
                for column, value in row.items():
                    yield f"{table.removeprefix('public.')}.{column}", json.dumps(value)


# -- how it is set up


@contextlib.contextmanager
def logged(day: Day) -> Iterator[None]:
    """Log all that there is, from DEBUG on, as in production and as in development."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with mock.patch("sys.stderr", day.log):
        logging.config.dictConfig(logging_config(debug=False, level="DEBUG"))
        for_people = logging_config(debug=True, level="DEBUG")
        for_people["loggers"], for_people["incremental"] = {}, False
        machines = root.handlers[:]
        logging.config.dictConfig(for_people)
        root.handlers[:] = [*machines, *root.handlers]
    configure_structlog()
    try:
        yield
    finally:
        structlog.contextvars.clear_contextvars()
        logging.config.dictConfig(logging_config(debug=False, level="CRITICAL"))
        root.handlers[:], root.level = handlers, level


@contextlib.contextmanager
def through_redis(day: Day, url: str) -> Iterator[None]:
    """Let tasks be published to Redis, where nobody but the day finds them."""
    names = ("task_always_eager", "task_eager_propagates", "broker_url", "task_send_sent_event",
             "broker_transport_options")  # fmt: skip
    was = {name: app.conf[name] for name in names}
    app.conf.update(
        task_always_eager=False, task_eager_propagates=False, broker_url=url,
        task_send_sent_event=True,
        broker_transport_options=was["broker_transport_options"] | {"global_keyprefix": KEYS},
    )  # fmt: skip
    impatient = doorbell.IMPATIENT | {"global_keyprefix": KEYS}
    try:
        with (
            mock.patch.object(doorbell, "IMPATIENT", impatient),
            mock.patch.object(doorbell, "_quiet_until", 0.0),
        ):
            yield
    finally:
        app.conf.update(was)
        app.amqp.__dict__.pop("_producer_pool", None)
        if keys := list(day.redis.scan_iter(f"{KEYS}*")):
            day.redis.delete(*keys)
        day.listening.close()
        day.redis.close()


@contextlib.contextmanager
def learning(day: Day) -> Iterator[None]:
    """Whatever is encrypted for the database is a secret to look for."""
    encrypt = EncryptedField.get_db_prep_save

    def heard(field: Any, value: Any, *args: Any, **named: Any) -> Any:
        if value and isinstance(value, str) and getattr(field, "model", None):
            name = f"{field.model.__name__}.{field.name}"
            if name in WHOLE_FORMS:
                if day.canaries.found(value):
                    day.encrypted.add(name)
            else:
                day.encrypted.add(name)
                day.learn(name, value)
        return encrypt(field, value, *args, **named)

    with mock.patch.object(EncryptedField, "get_db_prep_save", heard):
        yield


@contextlib.contextmanager
def working_while_waiting(day: Day) -> Iterator[None]:
    """A job that waits for what another worker does lets it be done."""
    patient = mock.Mock(wraps=time)
    patient.sleep = lambda _: day.work()
    with (
        mock.patch("mifos.connection_jobs.time", patient),
        mock.patch("disbursements.shortcode_test.time", patient),
    ):
        yield


@contextlib.contextmanager
def own_keys(key: str) -> Iterator[None]:
    """Encrypt with a key of the day; fields keep theirs from their first use on."""
    with mock.patch.object(settings, "FERNET_KEYS", [key]):
        _forget_keys()
        try:
            yield
        finally:
            _forget_keys()
    _forget_keys()


def _forget_keys() -> None:
    for field in encrypted_fields().values():
        for name in ("keys", "fernet_keys", "fernet"):
            field.__dict__.pop(name, None)


def encrypted_fields() -> dict[str, Any]:
    return {
        f"{model.__name__}.{field.name}": field
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, EncryptedField)
    }


@contextlib.contextmanager
def pages_breaking() -> Iterator[Callable[[], None]]:
    """Let the next page break at its very end, with all that it knows at hand."""
    render, armed = Template.render, [False]

    def breaks(template: Any, *args: Any, **named: Any) -> Any:
        if armed[0]:
            armed[0] = False
            raise RuntimeError("It broke.")
        return render(template, *args, **named)

    def arm() -> None:
        armed[0] = True

    with mock.patch.object(Template, "render", breaks):
        yield arm


def emptied() -> None:
    """As a test with transactions of its own leaves the database, which must be the tests' own."""
    assert connection.settings_dict["NAME"].startswith("test_")
    call_command("flush", verbosity=0, interactive=False)
    caches["limits"].clear()
