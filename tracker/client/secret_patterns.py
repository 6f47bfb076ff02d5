"""What secrets look like, by name; each has test values in ``tests/client/redaction.yaml``.

Data only; ``tracker.client.redact`` applies it. The names are shown to people, by
``session-buddy prune`` for one.
"""

from __future__ import annotations

# Anchored where a name begins, so that a long run of letters is looked at once and not from each of
# its positions: a text of any length costs time in proportion to its length.
_START = r"(?<![\w.-])"
NAME = (
    r"(?:[\w.-]*(?:password|passwd|passphrase|secret|token|credentials?|api[_-]?key|access[_-]?key"
    r"|account[_-]?key|shared[_-]?key|master[_-]?key|auth[_-]?key|secret[_-]?key|private[_-]?key"
    r"|signing[_-]?key|encryption[_-]?key|connection[_-]?string|requirepass|masterauth)"
    r"|[\w.-]*[_.-](?:pwd|pass)|pass|azure_[\w.-]*_key)"
)
"""Of an option, variable or field that holds a secret."""

_QUOTED = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_VALUE = rf"(?P<value>{_QUOTED}|\$\{{[^}}\s]*\}}|[^\s\"',;&|)}}\]]+)"
_REST = r"[^|;\n]{0,200}?\s"
"""The arguments of one command before the one that matters."""

PRIVATE_KEY = (
    r"(-----BEGIN (?P<kind>[A-Z ]*PRIVATE KEY(?: BLOCK)?)-----)"
    r"(?s:.*?)(-----END (?P=kind)-----|\Z)"
)

RULES: dict[str, str] = {
    # scheme://user:password@host
    "password_in_url": (
        r"(?i)(?P<keep>(?<![\w+.-])[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"']*:)(?P<value>[^\s@\"']+)(?=@)"
    ),
    # https://TOKEN@host; a name of that length with digits in it is no person's
    "token_in_url": r"(?P<keep>://)(?P<value>(?=[A-Za-z_-]*\d)[\w-]{20,})(?=@)",
    # Authorization: Bearer ..., Proxy-Authorization: Basic ..., also as a field of a dictionary
    "authorization_header": (
        r"(?i)(?P<keep>\b(?:authorization|x-[\w-]{0,40}(?:key|token|secret|auth))[\"']?\s*[:=]\s*"
        r"[\"']?(?:(?:bearer|basic|digest|token|negotiate|apikey)\s+)?)(?P<value>[^\s\"',]+)"
    ),
    "cookie": r"(?i)(?P<keep>\bcookie[\"']?\s*[:=]\s*[\"']?)(?P<value>[^\"'\n]+)",
    # Alone; prose about a bearer has neither digits nor such long words
    "bearer_token": (r"(?i)(?P<keep>\bBearer\s+)(?P<value>(?=[\w.~+/-]*\d|\S{20})[\w.~+/=-]{8,})"),
    "openssl_password": r"(?P<keep>(?<!\S)-pass(?:in|out)?\s+pass:)(?P<value>\S+)",
    # name=value, "name": "value", os.environ["NAME"] = "value", ?name=value&
    "assignment": rf"(?i)(?P<keep>{_START}{NAME}\b[\"']?\]?\s*(?:=|:(?!/))\s*){_VALUE}",
    # ?sig=..., ?key=...: too short to be told from ordinary names anywhere but in a query
    "query_parameter": (
        r"(?i)(?P<keep>[?&](?:key|sig|signature|code|auth)=)(?P<value>[^\s&#\"']+)"
    ),
    # --password value, --db-password value, -password value
    "option": rf"(?i)(?P<keep>(?<!\S)--?{NAME}\s+)(?!-){_VALUE}",
    # curl -u user:password, --user user:password, --proxy-user user:password
    "user_option": (
        r"(?P<keep>(?<!\S)(?:-u|--(?:proxy-)?user)[= ]?[\"']?[^\s:\"']+:)(?P<value>[^\s\"']+)"
    ),
    # http -a user:password (HTTPie)
    "httpie_auth": rf"(?P<keep>\bhttps?\s(?:{_REST})?(?:-a|--auth)[= ][\"']?[^\s:\"']+:)"
    r"(?P<value>[^\s\"']+)",
    "mysql_password": (
        r"(?P<keep>\b(?:mysql(?:dump|admin)?|mariadb)\b[^|;\n]{0,200}?\s-p)(?P<value>[^\s-]\S*)"
    ),
    "mongo_password": (
        rf"(?P<keep>\bmongo(?:sh|dump|restore|export|import)?\s(?:{_REST})?-p\s+){_VALUE}"
    ),
    "sshpass": rf"(?P<keep>\bsshpass\s+-p\s*){_VALUE}",
    "redis_password": rf"(?P<keep>\bredis-cli\b{_REST}-a\s+){_VALUE}",
    "ldap_password": rf"(?P<keep>\bldap(?:search|modify|add|delete|passwd|whoami)\b{_REST}-w\s*)"
    r"(?P<value>[^\s-]\S*)",
    "samba_password": r"(?P<keep>(?<!\S)-U\s*[\"']?[\w\\/.-]+%)(?P<value>[^\s\"']+)",
    "zip_password": rf"(?P<keep>\b(?:un)?zip\s(?:{_REST})?-P\s*){_VALUE}",
    "htpasswd": r"(?P<keep>\bhtpasswd\s+-\w*b\w*\s+(?:-\w+\s+)*(?:[^\s-]\S*\s+){1,2})"
    r"(?P<value>[^\s|;&]+)(?=\s*(?:$|[|;&\n]))",
    "ssh_key_passphrase": rf"(?P<keep>\bssh-keygen\s(?:{_REST})?-[NP]\s*){_VALUE}",
    # docker login -p VALUE, az login -p VALUE
    "login_password": r"(?P<keep>\b(?:docker|podman|buildah|skopeo|nerdctl|helm|az|oc|cf|atuin)\s"
    rf"(?:[^|;\n]{{0,40}}?\s)?login\s(?:{_REST})?-p\s*){_VALUE}",
    "login_key": rf"(?P<keep>\batuin\s+login\s(?:{_REST})?-k\s*){_VALUE}",
    "vault_login": rf"(?P<keep>\bvault\s+login\s+)(?!-){_VALUE}(?=\s*(?:$|[|;&\n]))",
    # echo VALUE | docker login --password-stdin, echo VALUE | sudo -S
    "password_on_stdin": rf"(?P<keep>\b(?:echo|printf)\s+(?:-\w+\s+)?){_VALUE}"
    r"(?=\s*\|[^|\n]{0,200}(?:--password-stdin|--with-token|\bsudo\s+(?:-\w+\s+)*-S\b))",
    # echo user:VALUE | chpasswd
    "chpasswd": r"(?P<keep>\b(?:echo|printf)\s+(?:-\w+\s+)?[\"']?[\w.-]+:)(?P<value>[^\s\"'|]+)"
    r"(?=[\"']?\s*\|\s*(?:sudo\s+)?chpasswd\b)",
    # kubectl create secret generic name --from-literal=key=VALUE
    "kubernetes_secret": r"(?P<keep>--from-literal[= ][\"']?[\w.-]+=)(?P<value>[^\s\"']+)",
    # aws configure set aws_secret_access_key VALUE, npm config set //host/:_authToken VALUE
    "configured_secret": r"(?i)(?P<keep>\b(?:configure|config)\s+set\s+(?:--?\S+\s+){0,4}"
    rf"(?:\S{{0,80}}[/:])?{NAME}\s+){_VALUE}",
    # machine host login user password VALUE
    "netrc": rf"(?P<keep>\bmachine\s+\S+\s+login\s+\S+\s+password\s+){_VALUE}",
    # CREATE USER x IDENTIFIED BY 'VALUE', ALTER ROLE x PASSWORD 'VALUE'
    "sql_password": r"(?i)(?P<keep>\b(?:identified\s+by|password)\s+)(?P<value>'[^'\n]+')",
    "rabbitmq_password": rf"(?P<keep>\brabbitmqctl\s(?:{_REST})?"
    rf"(?:add_user|change_password|authenticate_user)\s+\S+\s+){_VALUE}",
}
"""Masks ``value`` and keeps ``keep``. Ordered: what comes first has looked at the text first."""

TOKENS: dict[str, str] = {
    "github_token": r"gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{22,}",
    "gitlab_token": (
        r"gl(?:pat|dt|rt|rtr|ptt|oas|soat|cbt|ft|imt|agent|ffct)-[\w-]{20,}|GR1348941[\w-]{20,}"
    ),
    "slack_token": r"xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}",
    "slack_webhook": (
        r"(?<=hooks\.slack\.com/services/)[\w/]+|(?<=hooks\.slack\.com/workflows/)[\w/]+"
    ),
    "discord_webhook": r"(?<=/api/webhooks/)\d{17,20}/[\w-]{60,}",
    "teams_webhook": r"(?<=webhook\.office\.com/webhookb2/)[\w@/-]{60,}",
    "aws_access_key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    "aws_bedrock_key": r"\bABSK[A-Za-z0-9+/]{100,}={0,2}",
    "google_api_key": r"\bAIza[\w-]{35}",
    "google_oauth_token": r"\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{20,}",
    "azure_client_secret": r"(?<![\w.~-])[\w.~]{3}\dQ~[\w.~-]{31,34}",
    "stripe_key": r"\b[rsw]k_(?:live|test|prod)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9]{16,}",
    "square_token": r"\bsq0[a-z]{3}-[\w-]{22,}",
    "openai_key": r"\bsk-[A-Za-z0-9_-]{20,}",  # and Anthropic's
    "perplexity_key": r"\bpplx-[A-Za-z0-9]{40,}",
    "hugging_face_token": r"\bhf_[A-Za-z0-9]{30,}|\bapi_org_[A-Za-z]{30,}",
    "npm_token": r"\bnpm_[A-Za-z0-9]{36}",
    "pypi_token": r"\bpypi-[\w-]{16,}",
    "rubygems_key": r"\brubygems_[a-f0-9]{48}",
    "clojars_token": r"\bCLOJARS_[A-Za-z0-9]{60}",
    "artifactory_key": r"\bAKCp[A-Za-z0-9]{69}|\bcmVmd[A-Za-z0-9]{59}",
    "atlassian_token": r"\bAT[AC]TT3[\w=-]{60,}",
    "digital_ocean_token": r"\bdo[opr]_v1_[a-f0-9]{64}",
    "cloudflare_origin_key": r"\bv1\.0-[a-f0-9]{24}-[a-f0-9]{146}",
    "alibaba_key_id": r"\bLTAI[A-Za-z0-9]{20}\b",
    "databricks_token": r"\bdapi[a-f0-9]{32}\b",
    "fly_token": r"\bfo1_[\w-]{43}|\bfm[12][ar]?_[A-Za-z0-9+/]{100,}={0,3}",
    "heroku_key": r"\bHRKU-[\w-]{36,}",
    "netlify_token": r"\bnf[pcoub]_[A-Za-z0-9]{36}",
    "planetscale_token": r"\bpscale_(?:tkn|oauth|pw)_[\w=.-]{32,}",
    "pulumi_token": r"\bpul-[a-f0-9]{40}\b",
    "terraform_token": r"\b[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,}",
    "vault_token": r"\bhv[sbr]\.[\w-]{20,}",
    "doppler_token": r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,}",
    "one_password_token": r"\bops_eyJ[A-Za-z0-9+/]{100,}={0,3}",
    "openshift_token": r"\bsha256~[\w-]{43}",
    "grafana_token": r"\bglsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|\bglc_[A-Za-z0-9+/]{32,}={0,3}",
    "datadog_token": r"\bdd(?:pat|app)_[A-Za-z0-9]{30,}",
    "dynatrace_token": r"\bdt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
    "new_relic_key": r"\bNR(?:AK|II|IQ|AA|JS)-[\w-]{19,}",
    "sentry_token": r"\bsntr[yu][su]_[A-Za-z0-9+/=_]{60,}",
    "sendgrid_key": r"\bSG\.[\w-]{16,}\.[\w-]{16,}",
    "brevo_key": r"\bxkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}",
    "mailgun_key": r"\bkey-[a-f0-9]{32}\b",
    "mailchimp_key": r"\b[a-f0-9]{32}-us\d{1,2}\b",
    "twilio_key": r"\bSK[a-f0-9]{32}\b",
    "telegram_token": r"(?<![\w:])(?:bot)?\d{8,10}:[\w-]{35}(?![\w-])",
    "discord_token": r"\b[MNO][A-Za-z\d_-]{23,25}\.[\w-]{6}\.[\w-]{27,38}",
    "shopify_token": r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    "notion_token": r"\bntn_[A-Za-z0-9]{40,}",
    "linear_key": r"\blin_(?:api|oauth)_[A-Za-z0-9]{40,}",
    "airtable_token": r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}",
    "hubspot_token": r"\bpat-(?:na|eu)\d-[a-f0-9-]{36}",
    "postman_key": r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}",
    "tailscale_key": r"\btskey-[a-z]+-[\w-]{16,}",
    "json_web_token": r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*",
    "age_key": r"\bAGE-SECRET-KEY-1[A-Z0-9]{20,}",
}
"""What is a secret by its form alone, wherever it stands."""
