FROM python:3.13-slim-trixie AS build
COPY requirements-runtime.txt /tmp/
# Wheels only: nothing is compiled, so the image needs no compiler and does not run set-up scripts of packages.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --only-binary :all: --require-hashes \
        -r /tmp/requirements-runtime.txt
WORKDIR /srv
COPY migrations migrations
COPY app app
COPY pyproject.toml .
# The user below cannot write bytecode, so compile now. The user must be able to read the files, even if they were
# checked out with a strict umask.
RUN python -m compileall -q --invalidation-mode unchecked-hash . && chmod -R a+rX .


FROM python:3.13-slim-trixie
# Production is the default, so a container does not start without its own SECRET_KEY.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ENVIRONMENT=production
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app
WORKDIR /srv
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv /srv
# A numeric user, so that an orchestrator can verify that it is not root. It owns no file in the image.
USER 10001:10001
EXPOSE 8000
# Not urllib, which would use a proxy. Liveness only: a restart helps a stuck process, but not an unavailable database.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
# --no-proxy-headers: the application itself decides with TRUSTED_PROXIES which proxy headers it trusts. --log-level:
# uvicorn's first log lines are not JSON, so they are suppressed. --http: BoundedProtocol limits request heads and
# connections. --timeout-graceful-shutdown: requests in flight get 8 of the 10 seconds after which `docker stop` kills.
CMD ["uvicorn", "app.main:app", "--http", "app.edge.protocol:BoundedProtocol", "--host", "0.0.0.0", "--port", "8000", "--no-server-header", "--no-proxy-headers", "--log-level", "warning", "--timeout-graceful-shutdown", "8"]
