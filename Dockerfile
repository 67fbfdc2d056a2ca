# One image for every role; see compose.yaml. It installs what the lock file names, with its hashes, and nothing else.
# The base is CPython 3.11.16 on Debian 12, by the digest that holds for all platforms.
FROM python:3.11-slim-bookworm@sha256:528257d48c1da0dcecc2e725d1ae34498d60c965f1241e39cd6a85a8859bdf84 AS build
WORKDIR /build
RUN python -m venv /opt/holdtime
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN /opt/holdtime/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY eventlog eventlog
COPY holdtime holdtime
COPY ingest ingest
COPY processors processors
COPY reconciler reconciler
COPY reports reports
COPY schedules schedules
COPY simulator simulator
COPY warehouse warehouse
RUN /opt/holdtime/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm@sha256:528257d48c1da0dcecc2e725d1ae34498d60c965f1241e39cd6a85a8859bdf84
RUN useradd --system --uid 10001 --home-dir /data holdtime && install --directory --owner holdtime --mode 0700 /data
COPY --from=build /opt/holdtime /opt/holdtime
ENV PATH=/opt/holdtime/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOLDTIME_HTTP_HOST=0.0.0.0 \
    GLIBC_TUNABLES=glibc.malloc.tcache_count=65000
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["holdtime"]
CMD ["up"]
