"""How fast the embedding backends are, and how far apart their vectors.

    python bench/embedding.py [--texts 300] [--threads 1]

Each backend runs in a process of its own; load time and memory include all that it imports.
The first is the default; sentence-transformers (extra ``semantic``) follows where it is installed.
Needs the model: ``session-buddy models fetch``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUERIES = ["workflow orchestration", "database locked", "failed deploy of the tracker last night"]
WORDS = """
session tracker deploy rollback runbook journal spool event release health metric alert
disk memory process server client token secret backup restore verify plan host inventory
query pipeline scheduler cron database latency error failure network timeout
"""


def sentences(count: int) -> list[str]:
    """Made-up sentences, 18 words at the median, some with over 100, always the same ones."""
    words = WORDS.split()
    chosen = random.Random(7)  # noqa: S311 -- reproducible, not secret
    lengths = [max(1, round(chosen.lognormvariate(2.9, 0.7))) for _ in range(count)]
    return [" ".join(chosen.choices(words, k=length)) for length in lengths]


def load_minilm(folder: Path, threads: int):  # noqa: ANN201 -- whatever the backend is
    from tracker.search.embedding import load_embedder

    return load_embedder(folder, threads).embed


def load_sentence_transformers(folder: Path, threads: int):  # noqa: ANN201 -- as above
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    return SentenceTransformer(str(folder), device="cpu").encode


BACKENDS = {"minilm": load_minilm, "sentence-transformers": load_sentence_transformers}


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def measure(name: str, folder: Path, count: int, threads: int, vectors: Path) -> dict[str, float]:
    """Run in the child: everything about one backend; its vectors go to a file."""
    before = resident_mb()
    started = time.perf_counter()
    embed = BACKENDS[name](folder, threads)
    embed(["warm"])
    loaded = time.perf_counter() - started
    times = []
    for query in QUERIES * 30:
        at = time.perf_counter()
        embed([query])
        times.append(time.perf_counter() - at)
    texts = sentences(count)
    at = time.perf_counter()
    found = embed(texts)
    bulk = time.perf_counter() - at
    memory = resident_mb() - before

    import numpy as np

    np.save(vectors, found)
    return {
        "load": loaded,
        "p50": statistics.median(times),
        "p95": statistics.quantiles(times, n=20)[-1],
        "bulk": count / bulk,
        "memory": memory,
    }


def in_child(arguments: argparse.Namespace, name: str, vectors: Path) -> dict[str, float]:
    argv = [sys.executable, __file__, "--child", name, "--vectors", str(vectors)]
    argv += ["--texts", str(arguments.texts), "--threads", str(arguments.threads)]
    argv += ["--model", str(arguments.model)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(arguments: argparse.Namespace) -> None:
    import numpy as np

    found = {}
    header = ("load", "query p50", "p95", "bulk", "memory")
    print(f"{arguments.texts} texts, {arguments.threads} thread(s), {arguments.model}")
    print(f"{'backend':<22}" + "".join(f"{title:>12}" for title in header))
    with tempfile.TemporaryDirectory() as folder:
        for name in BACKENDS:
            module = name.replace("-", "_")
            if name != "minilm" and importlib.util.find_spec(module) is None:
                print(f"{name:<22}  not installed: pip install 'sessionops[semantic]'")
                continue
            vectors = Path(folder) / f"{module}.npy"
            row = in_child(arguments, name, vectors)
            found[name] = np.load(vectors)
            print(
                f"{name:<22}{row['load']:>10.2f} s{row['p50'] * 1000:>9.1f} ms"
                f"{row['p95'] * 1000:>9.1f} ms{row['bulk']:>10.0f}/s{row['memory']:>9.0f} MB"
            )
    if len(found) == len(BACKENDS):
        ours, reference = found.values()
        cosines = (ours * reference).sum(axis=1)
        difference = np.abs(ours - reference).max()
        print(f"least cosine {cosines.min():.7f}, greatest difference {difference:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=300, help="sentences in bulk (300)")
    parser.add_argument("--threads", type=int, default=1, help="threads a backend may use (1)")
    parser.add_argument("--model", type=Path, help="the model's folder (the settings' one)")
    parser.add_argument("--child", choices=list(BACKENDS), help=argparse.SUPPRESS)
    parser.add_argument("--vectors", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.model is None:
        from schemas.settings import Settings
        from tracker.search.catalogue import chosen_model
        from tracker.search.models import model_folder

        settings = Settings.load()
        arguments.model = model_folder(settings, chosen_model(settings))
    if not arguments.model.is_dir():
        sys.exit(f"error: no model in {arguments.model}\n  session-buddy models fetch")
    if arguments.child:
        row = measure(
            arguments.child,
            arguments.model,
            arguments.texts,
            arguments.threads,
            arguments.vectors,
        )
        print(json.dumps(row))
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
