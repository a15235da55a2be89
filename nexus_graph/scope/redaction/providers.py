"""Keys of well-known services, by the prefixes, lengths and alphabets that the services publish."""

from __future__ import annotations

import re
from collections import defaultdict

from nexus_graph.scope.redaction.spans import Spans
from nexus_graph.scope.redaction.texts import Text

_W = "[A-Za-z0-9_-]"  # the alphabet of base64url
_A = "[A-Za-z0-9]"
_H = "[0-9a-f]"
_UUID = f"{_H}{{8}}-{_H}{{4}}-{_H}{{4}}-{_H}{{4}}-{_H}{{12}}"
_NO_MORE = f"(?!{_A})"

# Prefix and what must follow it. A group `secret` narrows the span.
_PREFIXES: dict[str, str] = {
    # Clouds
    **dict.fromkeys(("AKIA", "ASIA", "ABIA", "ACCA"), f"[A-Z2-7]{{16}}{_NO_MORE}"),  # AWS
    "ABSK": r"[A-Za-z0-9+/]{80,}+=*+",  # AWS Bedrock
    "AIza": f"{_W}{{35}}{_NO_MORE}",  # Google
    "ya29.": f"{_W}{{20,}}+",
    "GOCSPX-": f"{_W}{{28}}{_NO_MORE}",
    "1//0": f"{_W}{{40,}}+",
    "AccountKey=": r"(?P<secret>[A-Za-z0-9+/]{86}==)",  # Azure
    "SharedAccessKey=": r"(?P<secret>[A-Za-z0-9+/]{43}=)",
    "LTAI": f"{_A}{{12,24}}+{_NO_MORE}",  # Alibaba
    "AKID": f"{_A}{{32}}{_NO_MORE}",  # Tencent
    "y0_": f"{_W}{{50,}}+",  # Yandex
    **dict.fromkeys(("dop_v1_", "doo_v1_", "dor_v1_"), f"{_H}{{64}}{_NO_MORE}"),  # DigitalOcean
    "HRKU-AA": f"{_W}{{50,}}+",  # Heroku
    "v1.0-": f"{_H}{{24}}-{_H}{{146}}{_NO_MORE}",  # Cloudflare
    "fo1_": f"{_W}{{43}}(?!{_W})",  # Fly.io
    "FlyV1 ": r"fm[12][ar]?_[A-Za-z0-9+/=,_]{80,}+",
    "nfp_": f"{_A}{{36,40}}+{_NO_MORE}",  # Netlify
    # Code and packages
    **dict.fromkeys(("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), f"{_A}{{36,}}+"),  # GitHub
    "github_pat_": r"[A-Za-z0-9_]{22,}+",
    **dict.fromkeys(
        ("glpat-", "gldt-", "glrt-", "glptt-", "gloas-", "glsoat-", "glft-", "glimt-", "glagent-", "glffct-", "glcbt-"),
        f"{_W}{{20,}}+(?:\\.{_W}{{9,}}+){{0,2}}",  # GitLab
    ),
    **dict.fromkeys(("ATATT3xFfGF0", "ATCTT3xFfGN0"), f"{_W}{{24,}}+(?:=[0-9A-F]{{8}})?"),  # Atlassian
    "ATBB": f"{_A}{{28,40}}+{_NO_MORE}",  # Bitbucket
    "npm_": f"{_A}{{36}}{_NO_MORE}",
    "pypi-AgE": f"{_W}{{50,}}+",
    "rubygems_": f"{_H}{{48}}{_NO_MORE}",
    "cio": f"(?=[A-Za-z]{{0,31}}[0-9])(?=[a-z0-9]{{0,31}}[A-Z]){_A}{{32}}{_NO_MORE}",  # crates.io
    "oy2": f"[a-z0-9]{{43}}{_NO_MORE}",  # NuGet
    "CLOJARS_": f"{_A}{{60}}{_NO_MORE}",
    "AKCp": f"{_A}{{69}}{_NO_MORE}",  # Artifactory
    **dict.fromkeys(("dckr_pat_", "dckr_oat_"), f"{_W}{{27,40}}+"),  # Docker
    **dict.fromkeys(("CCIPAT_", "CCIPRJ_"), f"{_A}{{20,24}}+_{_H}{{40}}{_NO_MORE}"),  # CircleCI
    "bkua_": f"{_H}{{40}}{_NO_MORE}",  # Buildkite
    "API-": f"[A-Z0-9]{{26}}{_NO_MORE}",  # Octopus
    "sgp_": f"(?:{_A}{{5,16}}_)?{_H}{{40}}{_NO_MORE}",  # Sourcegraph
    # Secrets, infrastructure, observation
    "hvs.": f"{_W}{{24,}}+",  # Vault
    "hvb.": f"{_W}{{100,}}+",
    "pul-": f"{_H}{{40}}{_NO_MORE}",  # Pulumi
    "ops_eyJ": r"[A-Za-z0-9+/_-]{100,}+=*+",  # 1Password
    "dp.": f"(?:pt|ct|sa|scim|audit|st\\.[a-z0-9_-]{{2,35}})\\.{_A}{{40,44}}+{_NO_MORE}",  # Doppler
    "AGE-SECRET-KEY-1": f"[0-9A-Z]{{58}}{_NO_MORE}",
    "tskey-": f"[a-z]{{2,10}}-{_A}{{8,20}}-{_A}{{20,40}}+",  # Tailscale
    "sha256~": f"{_W}{{43}}(?!{_W})",  # OpenShift
    "pnu_": f"{_A}{{36}}{_NO_MORE}",  # Prefect
    "ico-": f"{_A}{{32}}{_NO_MORE}",  # Infracost
    "glc_": r"eyJ[A-Za-z0-9+/]{32,}+=*+|(?=[A-Za-z]{0,64}[0-9])[A-Za-z0-9+/]{48,}+=*+",  # Grafana
    "glsa_": f"{_A}{{32}}_{_H}{{8}}{_NO_MORE}",
    "NRAK-": f"[A-Z0-9]{{27}}{_NO_MORE}",  # New Relic
    **dict.fromkeys(("NRII-", "NRJS-"), f"{_W}{{19,40}}+"),
    "sntrys_eyJ": r"[A-Za-z0-9+/=]{40,}+_[A-Za-z0-9+/]{40,}+",  # Sentry
    "sntryu_": f"{_H}{{64}}{_NO_MORE}",
    "dt0c01.": r"[A-Z0-9]{24}\.[A-Z0-9]{64}(?![A-Za-z0-9])",  # Dynatrace
    **dict.fromkeys(("pscale_tkn_", "pscale_pw_", "pscale_oauth_"), r"[A-Za-z0-9_=.-]{32,64}+"),  # PlanetScale
    "sbp_": f"{_H}{{40}}{_NO_MORE}",  # Supabase
    "sb_secret_": f"{_W}{{22,}}+",
    "dapi": f"{_H}{{32}}(?:-[0-9])?{_NO_MORE}",  # Databricks
    "4b1d": f"(?=[0-9a-zA-Z]{{0,37}}[A-Z]){_A}{{38}}{_NO_MORE}",  # ClickHouse
    "sdk-": f"{_UUID}{_NO_MORE}",  # LaunchDarkly
    # Messages and people
    **dict.fromkeys(("xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-"), r"[A-Za-z0-9-]{10,}+"),  # Slack
    "xoxe.": r"xox[bp]-[A-Za-z0-9-]{20,}+",
    "xapp-": r"[0-9]-[A-Za-z0-9-]{10,}+",
    "hooks.slack.com/": (
        r"[a-z]{8,9}/(?P<secret>[A-Z0-9]{6,}+/[A-Z0-9]{6,}+(?:/[0-9]{6,}+)?/[A-Za-z0-9]{16,}+)"
    ),
    **dict.fromkeys(
        ("discord.com/api/webhooks/", "discordapp.com/api/webhooks/"), f"(?P<secret>[0-9]{{15,20}}/{_W}{{40,}}+)"
    ),
    "SK": f"{_H}{{32}}{_NO_MORE}",  # Twilio
    "SG.": f"{_W}{{16,32}}+\\.{_W}{{16,64}}+",  # SendGrid
    "key-": f"{_H}{{32}}{_NO_MORE}",  # Mailgun
    **dict.fromkeys(("xkeysib-", "xsmtpsib-"), f"{_H}{{64}}-{_A}{{16}}{_NO_MORE}"),  # Brevo
    "re_": f"{_A}{{8}}_{_A}{{20,30}}+{_NO_MORE}",  # Resend
    "EAA": "(?=[A-Za-z]{0,60}[0-9])[A-Za-z0-9_-]{59,}+",  # Meta, Square
    "lin_api_": f"{_A}{{40}}{_NO_MORE}",  # Linear
    "lin_oauth_": f"{_H}{{64}}{_NO_MORE}",
    "ntn_": f"{_A}{{40,50}}+{_NO_MORE}",  # Notion
    "secret_": f"(?=[A-Za-z]{{0,42}}[0-9]){_A}{{43}}{_NO_MORE}",
    "pat-": f"(?:na|eu)[0-9]-{_UUID}{_NO_MORE}",  # HubSpot
    "pat": f"{_A}{{14}}\\.{_H}{{64}}{_NO_MORE}",  # Airtable
    **dict.fromkeys(("figd_", "figo_"), f"{_W}{{36,}}+"),  # Figma
    "PMAK-": f"{_H}{{24}}-{_H}{{34}}{_NO_MORE}",  # Postman
    "sl.": f"(?=[A-Za-z_-]{{0,80}}[0-9]){_W}{{100,}}+",  # Dropbox
    "CFPAT-": f"{_W}{{43}}(?!{_W})",  # Contentful
    "tfp_": f"(?=[A-Za-z_-]{{0,58}}[0-9]){_W}{{44,60}}+",  # Typeform
    "rdme_": f"{_A}{{70}}{_NO_MORE}",  # ReadMe
    "fio-u-": f"{_W}{{64}}(?!{_W})",  # Frame.io
    "p8e-": f"{_A}{{32}}{_NO_MORE}",  # Adobe
    "aio_": f"{_A}{{28}}{_NO_MORE}",  # Adafruit
    "sk.eyJ": f"{_W}{{40,}}+\\.{_W}{{20,}}+",  # Mapbox
    # Payment and trade
    **dict.fromkeys(  # Stripe
        ("sk_live_", "sk_test_", "rk_live_", "rk_test_"), f"(?=[A-Za-z]{{0,24}}[0-9]){_A}{{10,}}+"
    ),
    "whsec_": r"[A-Za-z0-9+/]{24,}+=*+",
    "sq0atp-": f"{_W}{{22}}(?!{_W})",  # Square
    "sq0csp-": f"{_W}{{43}}(?!{_W})",
    "access_token$": r"(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}(?![A-Za-z0-9])",  # Braintree
    "access-": f"(?:production|development|sandbox)-{_UUID}{_NO_MORE}",  # Plaid
    **dict.fromkeys(("shpat_", "shpca_", "shppa_", "shpss_"), f"[A-Fa-f0-9]{{32}}{_NO_MORE}"),  # Shopify
    **dict.fromkeys(("rzp_live_", "rzp_test_"), f"{_A}{{14}}{_NO_MORE}"),  # Razorpay
    **dict.fromkeys(("FLWSECK-", "FLWSECK_TEST-"), f"{_A}{{12,32}}+(?:-X)?"),  # Flutterwave
    **dict.fromkeys(("EZAK", "EZTK"), f"{_A}{{54}}{_NO_MORE}"),  # EasyPost
    **dict.fromkeys(("shippo_live_", "shippo_test_"), f"{_H}{{40}}{_NO_MORE}"),
    **dict.fromkeys(("duffel_live_", "duffel_test_"), f"{_W}{{43}}(?!{_W})"),
    # Models
    **dict.fromkeys(
        ("sk-proj-", "sk-svcacct-", "sk-admin-", "sk-ant-", "sk-or-"), f"{_W}{{20,}}+"
    ),
    "sk-": f"(?=[A-Za-z]{{0,48}}[0-9]){_A}{{20,}}+",
    "hf_": f"{_A}{{34}}{_NO_MORE}",
    "gsk_": f"{_A}{{52}}{_NO_MORE}",
    "r8_": f"{_A}{{37}}{_NO_MORE}",
    "pplx-": f"{_A}{{40,56}}+{_NO_MORE}",
    "xai-": f"{_A}{{60,90}}+{_NO_MORE}",
    "nxk_": f"[0-9a-f]{{32}}_{_W}{{43}}(?!{_W})",  # an API key of this engine
}  # fmt: skip
_PATTERNS = {prefix: re.compile(re.escape(prefix) + f"(?:{rest})", re.ASCII) for prefix, rest in _PREFIXES.items()}
_IS_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
# Most prefixes begin a run of letters, digits, underscores and hyphens; the others are searched for one by one.
_BY_START: dict[str, list[re.Pattern[str]]] = defaultdict(list)
for _prefix, _pattern in _PATTERNS.items():
    if _IS_TOKEN.fullmatch(_prefix):
        _BY_START[_prefix[:2]].append(_pattern)
_APART = {prefix: pattern for prefix, pattern in _PATTERNS.items() if not _IS_TOKEN.fullmatch(prefix)}

# What has its mark further in: the mark, what stands before it, read backwards, and what follows it.
_MARKED = tuple(
    (mark, re.compile(rf"(?:{before})(?![A-Za-z0-9_-])", re.ASCII), re.compile(re.escape(mark) + after, re.ASCII))
    for mark, before, after in (
        ("Q~", r"[0-9][A-Za-z0-9_~.]{3}", r"[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~-])"),  # client secrets of Entra ID
        (":AA", r"[0-9]{8,10}", r"[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])"),  # Telegram
        ("-us", f"{_H}{{32}}", f"[0-9]{{1,2}}{_NO_MORE}"),  # Mailchimp
        (".atlasv1.", f"{_A}{{14}}", r"[A-Za-z0-9_=-]{60,70}+"),  # Terraform
    )
)
_ANY_APART = re.compile("|".join(map(re.escape, (*_APART, *(mark for mark, _, _ in _MARKED)))))
_SHORT = 1024  # characters up to which one search for all takes less time than one for each
_REACH = 40
_BOT = re.compile(rf"\.(?={_W}{{6}}\.)(?P<rest>{_W}{{6}}\.{_W}{{27,40}}(?!{_W}))", re.ASCII)  # Discord
_BOT_BEFORE = re.compile(f"{_W}{{22,27}}[MNO](?!{_W})", re.ASCII)


def provider_keys(text: Text) -> Spans:
    """Keys of cloud providers and APIs, by their published shapes."""
    for start, _ in text.tokens:
        for pattern in _BY_START.get(text[start : start + 2], ()):
            if match := pattern.match(text, start):
                yield match.span()
    if len(text) > _SHORT or _ANY_APART.search(text):
        yield from _apart(text)
    for dot in _BOT.finditer(text):
        yield from _around(text, dot.start(), _BOT_BEFORE, dot)


def _apart(text: Text) -> Spans:
    for prefix, pattern in _APART.items():
        for place in text.places(prefix):
            if not _is_inside(text, place) and (match := pattern.match(text, place)):
                yield match.span("secret" if "secret" in pattern.groupindex else 0)
    for mark, backwards, forwards in _MARKED:
        for place in text.places(mark):
            yield from _around(text, place, backwards, forwards.match(text, place))


def _around(text: str, place: int, backwards: re.Pattern[str], after: re.Match[str] | None) -> Spans:
    before = backwards.match(text[max(0, place - _REACH) : place][::-1]) if after else None
    if after and before:
        yield place - before.end(), after.end()


def _is_inside(text: str, place: int) -> bool:
    before = text[place - 1] if place else " "
    return before in "_-" or (before.isascii() and before.isalnum())
