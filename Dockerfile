# One image for the API, the workers and every command: an ordinary user, no compiler, and nothing written outside /tmp,
# the state (/var/lib/micronet) and the data sets (/data), so the root may be read-only.
# For NVIDIA GPUs: docker build --build-arg TORCH_INDEX_URL=https://download.pytorch.org/whl/cu130 .
FROM python:3.11-slim-bookworm AS dependencies
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/micronet

# What weighs most changes least, so it comes first, here and below: PyTorch, the other dependencies, the code.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN pip --python /opt/micronet/bin/python install --extra-index-url "$TORCH_INDEX_URL" torch==2.13.0

WORKDIR /source
COPY pyproject.toml ./
RUN python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
print(*project["dependencies"], *project["optional-dependencies"]["s3"], sep="\n")' > requirements.txt \
 && pip --python /opt/micronet/bin/python install -r requirements.txt

FROM dependencies AS project
COPY . ./
RUN pip --python /opt/micronet/bin/python install --no-deps --no-warn-script-location --prefix /opt/project .

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 micronet \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin micronet \
 && install --directory --owner=micronet --group=micronet --mode=0750 /var/lib/micronet /data \
 && python -m pip uninstall --yes --quiet --root-user-action=ignore pip setuptools wheel
COPY --from=dependencies /opt/micronet /opt/micronet
COPY --from=project /opt/project /opt/micronet

# pip compiled every module while installing; a read-only root could keep no others.
ENV PATH=/opt/micronet/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp \
    MICRONET_HOME=/var/lib/micronet MICRONET_DATA=/data
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
# Not urllib: it would ask a proxy for 127.0.0.1 where the environment names one.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "\
from http.client import HTTPConnection; \
api = HTTPConnection('127.0.0.1', 8000, timeout=4); \
api.request('GET', '/health/live'); \
raise SystemExit(api.getresponse().status != 200)"]
ENTRYPOINT ["micronet"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
