"""uv is told of the package index that pip knows, when it was told of none itself."""

import pytest

from orchestrator.tasks import uv
from orchestrator.tasks.uv import index_environment
from schemas.errors import InvalidInput, StepFailed

FILE = "[global]\nindex-url = https://pkgs.example/simple\ncert = /etc/ca.pem\n"
MERGED = {"UV_INDEX_STRATEGY": "unsafe-best-match"}


@pytest.mark.parametrize(
    ("environ", "files", "expected"),
    [
        ({}, [], {}),
        (
            {},
            [FILE],
            {"UV_DEFAULT_INDEX": "https://pkgs.example/simple", "SSL_CERT_FILE": "/etc/ca.pem"},
        ),
        (
            {"PIP_INDEX_URL": "https://other.example/simple", "SSL_CERT_FILE": "/own.pem"},
            [FILE],
            {"UV_DEFAULT_INDEX": "https://other.example/simple"},
        ),
        (
            {"PIP_EXTRA_INDEX_URL": "https://a/simple  https://b/simple"},
            [],
            {"UV_INDEX": "https://a/simple https://b/simple"} | MERGED,
        ),
        (
            {},
            ["[install]\nfind_links =\n  /srv/wheels\n  /srv/more\nno-index = true\n"],
            {"UV_FIND_LINKS": "/srv/wheels,/srv/more", "UV_NO_INDEX": "1"} | MERGED,
        ),
        ({"PIP_TRUSTED_HOST": "pkgs.example"}, [], {"UV_INSECURE_HOST": "pkgs.example"}),
        (
            {"PIP_FIND_LINKS": "/opt", "UV_INDEX_STRATEGY": "first-index"},
            [],
            {"UV_FIND_LINKS": "/opt"},
        ),
        ({"UV_DEFAULT_INDEX": "https://mine/simple"}, [FILE], {}),
        ({"UV_INDEX_URL": "https://mine/simple"}, [FILE], {}),
        ({"UV_CONFIG_FILE": "/etc/uv.toml"}, [FILE], {}),
        (
            {},
            ["[global]\nindex-url = https://x/%40simple\n", "[list]\nformat = json\n"],
            {"UV_DEFAULT_INDEX": "https://x/%40simple"},
        ),
    ],
)
def test_what_pip_knows_is_told_in_uvs_words(environ, files, expected):
    assert index_environment(environ, files) == expected


def test_a_configuration_that_pip_could_not_read_is_told():
    with pytest.raises(InvalidInput, match="pip's configuration cannot be read"):
        index_environment({}, ["index-url = https://without.a.section/simple\n"])


def test_a_package_that_cannot_be_had_is_told_with_the_setting_that_helps(bench, tmp_path):
    words = ["pip", "install", "--offline", "--target", str(tmp_path / "x"), "no-such-package-1"]
    with pytest.raises(
        StepFailed, match=r"uv could not get a package: .*no-such-package-1"
    ) as caught:
        uv.run(bench.context, words, timeout=60)
    assert "UV_DEFAULT_INDEX" in caught.value.hint


def test_another_failure_is_told_as_it_is(bench):
    with pytest.raises(StepFailed, match="ended with 2") as caught:
        uv.run(bench.context, ["no-such-command"], timeout=60)
    assert "UV_DEFAULT_INDEX" not in caught.value.hint


def test_the_password_of_an_index_is_masked(bench, monkeypatch):
    url = "https://me:hunter22-hunter22@127.0.0.1:1/simple"
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setattr(uv, "_uv_files", lambda _: [])
    for name in uv._OWN:
        monkeypatch.delenv(name, raising=False)
    uv.run(bench.context, ["--version"], timeout=60)
    assert "hunter22" not in bench.scope.secrets.mask(f"asked {url}")
