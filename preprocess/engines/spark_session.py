"""Starts Spark with settings that suit the preparation, and ends it with its Java process."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyspark.testing  # noqa: F401  (pyspark imports it sooner or later, and it warns of pandas then)
from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from prerank.errors import InputError

_SECONDS_TO_END = 30
_DEFAULTS = {
    "spark.app.name": "prerank preparation",
    "spark.driver.memory": "3g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
_LOCAL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "32",  # at most: adaptive execution joins those that are small
}


# pyspark prints each exception with its stack as JSON, also those that are handled
for _name in ("DataFrameQueryContextLogger", "SQLQueryContextLogger"):
    logging.getLogger(_name).disabled = True


def session(local: Path, master: str, conf: Mapping[str, str]) -> tuple[SparkSession, Callable[[], None]]:
    """A Spark session, and what ends it.

    A session that is active in this process is shared, with SQL settings of its own, and stays; `master` and `conf`
    have no effect on what was settled when it started.

    Args:
        local: existing folder of this machine, for logs and for what does not fit into memory.
        master: where Spark runs.
        conf: Spark's own settings.

    Raises:
        InputError: there is no Java, or Spark does not start.
    """
    if active := SparkSession.getActiveSession():
        return active.newSession(), lambda: None
    if not _has_java():
        raise InputError("--engine spark needs Java 17 or later: neither JAVA_HOME nor the command java is there")
    settings = dict(_DEFAULTS)
    if master.startswith("local"):
        settings |= _LOCAL | {"spark.local.dir": str(local.absolute())}
    settings |= {"spark.sql.warehouse.dir": (local.absolute() / "warehouse").as_uri(), "spark.master": master} | dict(
        conf
    )
    spark_conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
    log = local / "spark.log"
    try:
        with log.open("wb") as file:
            # Java's and Spark's lines go to a file: some of them no setting keeps from the user's terminal
            gateway = launch_gateway(spark_conf, {"stdout": file, "stderr": subprocess.STDOUT})
    except PySparkException as error:
        raise InputError(f"--engine spark: Java does not start: {_last_line(log) or error}") from error
    try:
        started = SparkSession(SparkContext(conf=spark_conf, gateway=gateway))
    except (PySparkException, Py4JError) as error:
        _end(gateway)
        raise InputError(f"--spark_master {master}: Spark does not start: {reason(error)}") from error

    def end() -> None:
        started.stop()
        _end(gateway)

    return started, end


def said(error: BaseException | None) -> str:
    """All that an error and its causes say, Java's among them."""
    return f"{error}\n{said(getattr(error, '_cause', None))}" if error else ""


def reason(error: BaseException) -> str:
    """The innermost cause of an error of Spark, in one line."""
    text = said(error)
    causes = re.findall(r"^(?:Caused by: |: )?[\w.$]+(?:Exception|Error): (.+)$", text, re.MULTILINE)
    return (causes or text.strip().splitlines() or [type(error).__name__])[-1 if causes else 0]


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return bool(shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java"))


def _end(gateway: Any) -> None:
    """End the Java process; Spark's own way leaves it until Python ends, and the next session would get it."""
    SparkContext._gateway = SparkContext._jvm = None
    gateway.shutdown()
    if gateway.proc:
        gateway.proc.stdin.close()
        try:
            gateway.proc.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            gateway.proc.kill()
            gateway.proc.wait()


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip() and not line[0].isspace()]
    return lines[-1].strip() if lines else ""
