"""Starts and ends a session of Spark, quietly."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

from errors import InputError
from preprocess.engines import EngineOptions

try:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        import pyspark.testing.utils  # noqa: F401  (Spark imports it later, and it warns)
        from ibis.backends.pyspark.datatypes import PySparkSchema as PySparkSchema
        from ibis.backends.sql.compilers.pyspark import PySparkCompiler as PySparkCompiler
        from py4j.protocol import Py4JError
        from pyspark import SparkContext
        from pyspark.errors import PySparkException
        from pyspark.sql import DataFrame as DataFrame
        from pyspark.sql import SparkSession
        from pyspark.sql import functions as functions
except ImportError as error:
    raise InputError(f"--engine spark: needs pip install -r requirements-spark.txt ({error})") from error

_LOGGING = """\
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = spark: %p %c{1}: %m%n
"""
_LOCAL_PARTITIONS = 8


JAVA_ERRORS: tuple[type[Exception], ...] = (PySparkException, Py4JError)
"""What Spark raises."""


def active() -> SparkSession | None:
    """The session that this process has already, as a notebook on a cluster does, or None."""
    return SparkSession.getActiveSession()


def started(options: EngineOptions) -> SparkSession:
    """A new session.

    Raises:
        InputError: there is no Java, or it does not start.
    """
    if not shutil.which("java") and "JAVA_HOME" not in os.environ:
        raise InputError("--engine spark: needs a Java of version 17 or later, and there is none")
    logging = options.spill / "log4j2.properties"
    logging.write_text(_LOGGING, "utf-8")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(options.spill.absolute()),
        "spark.sql.warehouse.dir": f"file://{options.spill.absolute()}",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging.absolute().as_uri()}",
    }
    if options.spark_master.startswith("local"):
        settings |= {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "3g",
            "spark.sql.shuffle.partitions": str(_LOCAL_PARTITIONS),
        }
    builder = SparkSession.builder.master(options.spark_master).appName("preprocess")
    for key, value in (settings | dict(options.spark_conf)).items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"--engine spark: cannot be started with {options.spark_master}: {first}") from error


def stopped(session: SparkSession, spill: Path) -> None:
    """End a session and its Java process, and remove what it has left in the folder it was started with."""
    session.stop()
    gateway = SparkContext._gateway
    if gateway is not None:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()
        SparkContext._gateway = SparkContext._jvm = None
    for left in spill.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
