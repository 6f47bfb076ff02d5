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
    "slack_webhook": (
        r"(?P<keep>hooks\.slack\.com/(?:services|workflows|triggers)/)(?P<value>[\w/]+)"
    ),
    "discord_webhook": r"(?P<keep>/api/webhooks/\d{17,20}/)(?P<value>[\w-]{60,})",
    "teams_webhook": r"(?P<keep>webhook\.office\.com/webhookb2/)(?P<value>[\w@/-]{60,})",
}
"""Masks ``value`` and keeps ``keep``. Ordered: what comes first has looked at the text first."""

UNMISTAKABLE: dict[str, str] = {
    "github_token": r"gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{22,}",
    "gitlab_token": (
        r"gl(?:pat|dt|rt|rtr|ptt|oas|soat|cbt|ft|imt|agent|ffct)-[\w-]{20,}|GR1348941[\w-]{20,}"
    ),
    "slack_token": r"xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}",
}
"""What is a secret by its form alone, also behind a letter, as in a text with ``\\n`` in it."""

TOKENS: dict[str, str] = {
    "azure_client_secret": r"[\w.~]{3}\dQ~[\w.~-]{31,34}",
    "telegram_token": r"(?<!:)(?:bot)?\d{8,10}:[\w-]{35}(?![\w-])",
    "stripe_key": r"[rsw]k_(?:live|test|prod)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9]{16,}",
    "aws_access_key": r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    "aws_bedrock_key": r"ABSK[A-Za-z0-9+/]{100,}={0,2}",
    "google_api_key": r"AIza[\w-]{35}",
    "google_oauth_token": r"ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}",
    "square_token": r"sq0[a-z]{3}-[\w-]{22,}",
    "openai_key": r"sk-[A-Za-z0-9_-]{20,}",  # and Anthropic's
    "perplexity_key": r"pplx-[A-Za-z0-9]{40,}",
    "hugging_face_token": r"hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z]{30,}",
    "npm_token": r"npm_[A-Za-z0-9]{36}",
    "pypi_token": r"pypi-[\w-]{16,}",
    "rubygems_key": r"rubygems_[a-f0-9]{48}",
    "clojars_token": r"CLOJARS_[A-Za-z0-9]{60}",
    "artifactory_key": r"AKCp[A-Za-z0-9]{69}|cmVmd[A-Za-z0-9]{59}",
    "atlassian_token": r"AT[AC]TT3[\w=-]{60,}",
    "digital_ocean_token": r"do[opr]_v1_[a-f0-9]{64}",
    "cloudflare_origin_key": r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}",
    "alibaba_key_id": r"LTAI[A-Za-z0-9]{20}\b",
    "databricks_token": r"dapi[a-f0-9]{32}\b",
    "fly_token": r"fo1_[\w-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{100,}={0,3}",
    "heroku_key": r"HRKU-[\w-]{36,}",
    "netlify_token": r"nf[pcoub]_[A-Za-z0-9]{36}",
    "planetscale_token": r"pscale_(?:tkn|oauth|pw)_[\w=.-]{32,}",
    "pulumi_token": r"pul-[a-f0-9]{40}\b",
    "terraform_token": r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,}",
    "vault_token": r"hv[sbr]\.[\w-]{20,}",
    "doppler_token": r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,}",
    "one_password_token": r"ops_eyJ[A-Za-z0-9+/]{100,}={0,3}",
    "openshift_token": r"sha256~[\w-]{43}",
    "grafana_token": r"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|glc_[A-Za-z0-9+/]{32,}={0,3}",
    "datadog_token": r"dd(?:pat|app)_[A-Za-z0-9]{30,}",
    "dynatrace_token": r"dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
    "new_relic_key": r"NR(?:AK|II|IQ|AA|JS)-[\w-]{19,}",
    "sentry_token": r"sntr[yu][su]_[A-Za-z0-9+/=_]{60,}",
    "sendgrid_key": r"SG\.[\w-]{16,}\.[\w-]{16,}",
    "brevo_key": r"xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}",
    "mailgun_key": r"key-[a-f0-9]{32}\b",
    "mailchimp_key": r"[a-f0-9]{32}-us\d{1,2}\b",
    "twilio_key": r"SK[a-f0-9]{32}\b",
    "discord_token": r"[MNO][A-Za-z\d_-]{23,25}\.[\w-]{6}\.[\w-]{27,38}",
    "shopify_token": r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    "notion_token": r"ntn_[A-Za-z0-9]{40,}",
    "linear_key": r"lin_(?:api|oauth)_[A-Za-z0-9]{40,}",
    "airtable_token": r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}",
    "hubspot_token": r"pat-(?:na|eu)\d-[a-f0-9-]{36}",
    "postman_key": r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}",
    "tailscale_key": r"tskey-[a-z]+-[\w-]{16,}",
    "json_web_token": r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*",
    "age_key": r"AGE-SECRET-KEY-1[A-Z0-9]{20,}",
}
"""What is a secret by its form alone, where a word begins."""
