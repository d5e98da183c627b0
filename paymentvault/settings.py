"""Every setting, read from the environment; `.env.example` explains each."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import environ
from csp.constants import NONCE, NONE, SELF

from paymentvault.logging import configure_structlog, logging_config

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", False)
TESTING = env.bool("TESTING", False)
# Empty is refused by a system check outside development, not replaced by a known value.
SECRET_KEY = env.str("SECRET_KEY", "")
FERNET_KEYS = env.list("FERNET_KEYS", default=[])
if DEBUG:
    SECRET_KEY = SECRET_KEY or "development-only-secret-key-" + "x" * 40
    FERNET_KEYS = FERNET_KEYS or ["development-only-fernet-key"]

PUBLIC_URL = env.str("PUBLIC_URL", "http://localhost:8000" if DEBUG else "").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []

INSTALLED_APPS = [
    "paymentvault.admin_app.PlatformAdmin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
    "rest_framework",
    "drf_spectacular",
    "django_filters",
    "django_htmx",
    "csp",
    "pgtrigger",
    "django_structlog",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "axes",
    "paymentvault",
    "partners",
    "disbursements",
    "mifos",
]

MIDDLEWARE = [
    # Outermost: they stand on every answer, also on those of the others.
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "paymentvault.middleware.UnavailableWithoutDatabase",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "mifos.middleware.hook_hosts",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "paymentvault.audit.Remembered",
    "django.contrib.messages.middleware.MessageMiddleware",
    "paymentvault.sessions.TimedOut",
    "paymentvault.middleware.LogInFirst",
    "allauth.account.middleware.AccountMiddleware",
    "paymentvault.second_factor.SecondFactor",
    "paymentvault.recent.AskingAgain",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "axes.middleware.AxesMiddleware",
]
# Outside systems get every path with and without a slash; a redirect would lose their POST.
APPEND_SLASH = False

ROOT_URLCONF = "paymentvault.urls"
WSGI_APPLICATION = "paymentvault.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "paymentvault.context.frame",
            ],
            "builtins": [
                "paymentvault.templatetags.portal",
                "django_htmx.templatetags.django_htmx",
            ],
        },
    },
]

DATABASES = {"default": env.db("DATABASE_URL", default="postgres:///paymentvault")}
# A socket's directory stands percent-encoded in a URL.
DATABASES["default"]["HOST"] = unquote(str(DATABASES["default"]["HOST"]))
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if not TESTING:
    # A request waits this long for a connection, then is answered 503.
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL", 16),
        "timeout": 5,
    }
DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 5
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# A message's level is the tone of its notice.
MESSAGE_TAGS = {20: "busy", 25: "ok", 30: "warn", 40: "bad"}

AUTH_USER_MODEL = "paymentvault.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "partners.access.ByMembership"]
PASSWORD_HASHERS = [
    f"django.contrib.auth.hashers.{name}PasswordHasher" for name in ("Argon2", "PBKDF2")
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

# Whoever may move money, change settings or read the audit needs a second factor.
SECOND_FACTOR = env.bool("SECOND_FACTOR", not DEBUG)
# What is dangerous asks again who is there, once in so many seconds; 0 never does.
ASK_AGAIN_AFTER_S = env.int("ASK_AGAIN_AFTER_S", 600 if SECOND_FACTOR else 0)
# Letting money go asks again above this sum, in KES.
ASK_AGAIN_ABOVE = Decimal(env.str("ASK_AGAIN_ABOVE", "100000"))
SESSION_IDLE_S = env.int("SESSION_IDLE_S", 30 * 60)
SESSION_AT_MOST_S = env.int("SESSION_AT_MOST_S", 12 * 3600)
SESSION_COOKIE_AGE = SESSION_AT_MOST_S
SESSION_ENGINE = "paymentvault.session_store"

# allauth: a user name and a password, then the second factor. Administrators make the accounts.
ACCOUNT_ADAPTER = "paymentvault.signing_in.Adapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = ASK_AGAIN_AFTER_S
# Codes are counted by `signing_in.Guess`.
ACCOUNT_RATE_LIMITS = {"login_failed": None}
ACCOUNT_FORMS = {
    "login": "paymentvault.portal.forms.SignInForm",
    "reauthenticate": "paymentvault.portal.forms.PasswordAgainForm",
}
MFA_ADAPTER = "paymentvault.second_factor.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {
    "authenticate": "paymentvault.portal.forms.CodeForm",
    "reauthenticate": "paymentvault.portal.forms.CodeAgainForm",
    "activate_totp": "paymentvault.portal.forms.FirstCodeForm",
}
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "Payment Vault"
# The phone's clock may be half a minute off.
MFA_TOTP_TOLERANCE = 1

# Wrong passwords lock the pair of user name and address, so a stranger elsewhere locks nobody out.
LOCKED_OUT_FOR_S = env.int("LOCKED_OUT_FOR_S", 15 * 60)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = env.int("LOCKED_OUT_AFTER", 5)
AXES_COOLOFF_TIME = timedelta(seconds=LOCKED_OUT_FOR_S)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "paymentvault.signing_in.address_of"
AXES_LOCKOUT_CALLABLE = "paymentvault.signing_in.answer_locked_out"
# The audit keeps what happened.
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "Africa/Nairobi"
USE_I18N = False
USE_TZ = True

# What Django 6 does anyway: an address typed without a scheme gets https.
FORMS_URLFIELD_ASSUME_HTTPS = True

# Each field with its label, hint and error, as templates/forms/field.html has it.
FORM_RENDERER = "paymentvault.forms.Renderer"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"

# Secure by default; development over plain HTTP switches it off with DEBUG.
HTTPS_ONLY = env.bool("HTTPS_ONLY", not DEBUG)
SECURE_SSL_REDIRECT = HTTPS_ONLY
# A redirect would lose the POST of a webhook or callback that a proxy forwards in plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^$", r"^mifos-webhook", r"^cb/", r"^livez", r"^readyz"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS_ONLY
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS_ONLY
X_FRAME_OPTIONS = "DENY"
# Everything comes from here; no script and no style stands inside a page.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        # Django's own admin knows no nonces; `partners.platform_site` lets its scripts in.
        "script-src": [NONCE],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# How many proxies of ours stand in front, each appending to X-Forwarded-For.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0)
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

REDIS_URL = env.str("REDIS_URL", "redis://localhost:6379/0")
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "sweeps"
CELERY_TASK_ROUTES = {
    "*.process_callback": {"queue": "callbacks"},
    "*.send_payout": {"queue": "payouts"},
    "*.process_event": {"queue": "events"},
    "*.record_in_mifos": {"queue": "recording"},
    # Slow remote systems must not keep the sweepers, which only look into the database, waiting.
    "*.poll_connection": {"queue": "polls"},
    "*.ask_mpesa": {"queue": "questions"},
    "*.read_balances": {"queue": "questions"},
    "*.run_job": {"queue": "jobs"},
    "*.check_audit": {"queue": "jobs"},
    # Partners' own systems, the least known of all.
    "*.deliver": {"queue": "deliveries"},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "socket_connect_timeout": 1,
    "socket_keepalive": True,
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

# How often each sweeper looks into the database for what no doorbell announced.
SWEEP_EVERY_S = env.int("SWEEP_EVERY_S", 10)
POLL_EVERY_S = env.int("POLL_EVERY_S", 180)
BALANCE_EVERY_S = env.int("BALANCE_EVERY_S", 600)
CELERY_BEAT_SCHEDULE = {
    **{
        name: {
            "task": f"{app}.tasks.{name}",
            "schedule": SWEEP_EVERY_S,
            "options": {"expires": SWEEP_EVERY_S},
        }
        for app, name in (
            ("mifos", "sweep_events"),
            ("mifos", "sweep_recording"),
            ("disbursements", "sweep_approved"),
            ("disbursements", "sweep_sending"),
            ("disbursements", "sweep_unanswered"),
            ("disbursements", "sweep_callbacks"),
            ("disbursements", "sweep_deliveries"),
            ("disbursements", "sweep_failed"),
            ("disbursements", "sweep_overdue"),
            ("paymentvault", "sweep_jobs"),
            ("paymentvault", "sweep_audit"),
        )
    },
    "poll_mifos": {
        "task": "mifos.tasks.poll_mifos",
        "schedule": POLL_EVERY_S,
        "options": {"expires": POLL_EVERY_S},
    },
    # It reads the whole audit, once a day; each hour it looks whether that was done.
    "check_audit": {
        "task": "paymentvault.tasks.check_audit",
        "schedule": 3600,
        "options": {"expires": 3600},
    },
    "read_balances": {
        "task": "disbursements.tasks.read_balances",
        "schedule": BALANCE_EVERY_S,
        "options": {"expires": BALANCE_EVERY_S},
    },
}

# M-Pesa's own limits in KES (Daraja B2C FAQ, 2025); a partner's limits come on top.
MPESA_MIN_AMOUNT = Decimal(env.str("MPESA_MIN_AMOUNT", "10"))
MPESA_MAX_AMOUNT = Decimal(env.str("MPESA_MAX_AMOUNT", "250000"))
MPESA_DAILY_PER_RECIPIENT = Decimal(env.str("MPESA_DAILY_PER_RECIPIENT", "500000"))
# Networks that M-Pesa's callbacks may come from; empty lets any address in.
MPESA_CALLBACK_NETWORKS = env.list("MPESA_CALLBACK_NETWORKS", default=[])

# After this a request without an answer counts as in doubt; longer than its time-outs together.
SENDING_TOO_LONG_S = env.int("SENDING_TOO_LONG_S", 240)

# Addresses that staff type (Mifos X hosts) may be private ones.
OUTBOUND_ALLOW_PRIVATE = env.bool("OUTBOUND_ALLOW_PRIVATE", DEBUG)
OUTBOUND_ALLOW_HTTP = env.bool("OUTBOUND_ALLOW_HTTP", DEBUG)

WEBHOOK_MAX_BYTES = env.int("WEBHOOK_MAX_BYTES", 64 * 1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "partners.keys.KeyAuthentication",
        "paymentvault.api.tokens.TokenAuthentication",
        "paymentvault.api.signing_in.Session",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["paymentvault.api.bodies.Json"],
    "DEFAULT_SCHEMA_CLASS": "paymentvault.api.schema.ApiSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "paymentvault.api.errors.answer",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Payment Vault",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "PREPROCESSING_HOOKS": ["paymentvault.api.schema.only_v1"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "paymentvault.api.schema.with_limits",
    ],
    "ENUM_NAME_OVERRIDES": {
        "CallbackKindEnum": "disbursements.models.Callback.Kind",
        "SettingsChangeKindEnum": "partners.models.SettingsChange.Kind",
        "StatusEnum": "disbursements.states.Status",
        "AttemptStatusEnum": "disbursements.states.AttemptStatus",
        "CallbackStateEnum": "disbursements.models.Callback.State",
        "EventStateEnum": "mifos.models.Event.State",
    },
    "COMPONENT_SPLIT_REQUEST": True,
}

# How often a person or an API key may ask in a minute, and an address fail to sign in.
API_READS_PER_MINUTE = env.int("API_READS_PER_MINUTE", 600)
API_WRITES_PER_MINUTE = env.int("API_WRITES_PER_MINUTE", 120)
API_CONNECTION_TESTS_PER_MINUTE = env.int("API_CONNECTION_TESTS_PER_MINUTE", 6)
API_FAILED_SIGN_INS_PER_MINUTE = env.int("API_FAILED_SIGN_INS_PER_MINUTE", 30)
# How often an address that knows no secret may call a webhook, a connection may tell of events,
# and M-Pesa call back about one request. Who knows the secret is never kept out by who doesn't.
WEBHOOK_STRANGERS_PER_MINUTE = env.int("WEBHOOK_STRANGERS_PER_MINUTE", 60)
WEBHOOK_EVENTS_PER_MINUTE = env.int("WEBHOOK_EVENTS_PER_MINUTE", 3000)
WEBHOOK_CALLBACKS_PER_MINUTE = env.int("WEBHOOK_CALLBACKS_PER_MINUTE", 60)

CACHES = {
    # What must hold for all processes: codes that were used, and counts of tries to sign in.
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
    # Counts requests, and nothing that matters: losing it loses nothing.
    "limits": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "limits",
        "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
    },
}

LOGGING = logging_config(debug=DEBUG, level=env.str("LOG_LEVEL", "INFO"))
configure_structlog()
DJANGO_STRUCTLOG_CELERY_ENABLED = True
