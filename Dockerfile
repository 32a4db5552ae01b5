# The service of an ONNX export: docker build -t prerank . ; docs/serving.md says how to run it.
FROM python:3.11-slim

WORKDIR /build
COPY requirements.txt requirements-onnx.txt requirements-serve.txt pyproject.toml LICENSE ./
COPY prerank prerank
# The pins of what the runtime needs, without what training needs.
RUN grep -hE '^(numpy|pyarrow|pydantic|threadpoolctl|onnxruntime|starlette|uvicorn|httptools|prometheus-client)==' \
        requirements.txt requirements-onnx.txt requirements-serve.txt > pins.txt \
    && pip install --no-cache-dir -r pins.txt . \
    && rm -rf /build

RUN useradd --system --uid 10001 prerank
USER prerank
WORKDIR /model
ENV PYTHONUNBUFFERED=1
EXPOSE 8501
# A stop drains: a request may take --timeout, and five seconds more pass before it is cut off.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/readyz', timeout=2)"]
# Within a container loopback is the container's own, so it listens everywhere; compose.yaml publishes to loopback only.
ENTRYPOINT ["prerank", "serve", "--model", "/model", "--host", "0.0.0.0", "--port", "8501"]
