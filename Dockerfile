FROM python:3.13-slim-trixie AS build
COPY requirements-runtime.txt /tmp/
# Wheels only: nothing is compiled, so the image needs no compiler and runs no package's set-up script.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --only-binary :all: --require-hashes \
        -r /tmp/requirements-runtime.txt
WORKDIR /srv
COPY migrations migrations
COPY app app
# The user below writes no bytecode, and reads these files whatever the umask was with which they were checked out.
RUN python -m compileall -q --invalidation-mode unchecked-hash . && chmod -R a+rX .


FROM python:3.13-slim-trixie
# Production unless told otherwise: without a SECRET_KEY of its own, a container does not start.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ENVIRONMENT=production
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app
WORKDIR /srv
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv /srv
# By number, so that an orchestrator can see that it is not root. Nothing in the image belongs to this user.
USER 10001:10001
EXPOSE 8000
# Not urllib, which would ask a proxy. Liveness only: a restart mends a stuck process, but not an absent database.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
# TRUSTED_PROXIES says whose headers are believed, not uvicorn. Its first lines are not JSON, so they are left out.
# BoundedProtocol bounds request heads and connections. Requests in flight get 8 seconds, within the 10 that `docker stop` waits before it kills.
CMD ["uvicorn", "app.main:app", "--http", "app.edge.protocol:BoundedProtocol", "--host", "0.0.0.0", "--port", "8000", "--no-server-header", "--no-proxy-headers", "--log-level", "warning", "--timeout-graceful-shutdown", "8"]
