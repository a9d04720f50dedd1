# Two images: `service` (the front end, without torch) and `worker` (the networks).
#   docker build --target service .
#   docker build --target worker .

FROM python:3.12-slim-bookworm AS base
ENV PATH=/opt/dgnet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

FROM base AS build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/dgnet
COPY constraints.txt ./

FROM build AS build-service
COPY . .
RUN pip install --constraint constraints.txt .

FROM build AS build-worker
# The big packages in a layer of their own: a change of our code does not fetch them again.
RUN pip install --constraint constraints.txt torch torchvision
COPY . .
RUN pip install --constraint constraints.txt '.[worker,generate,s3]'

FROM base AS runtime
# A volume that is mounted at /data takes its owner over.
RUN useradd --system --user-group --uid 10001 --create-home dgnet && install -d -o dgnet -g dgnet /data
ENV DGNET_DATA_ROOT=/data
USER 10001:10001
WORKDIR /home/dgnet

FROM runtime AS worker
COPY --from=build-worker /opt/dgnet /opt/dgnet
# By name: without a card it does not start; DGNET_DEVICE=cpu (or auto) says that it may.
ENV DGNET_METRICS_PORT=9100 \
    DGNET_DEVICE=cuda
EXPOSE 9100
# Loading the weights and the canary take their time; after that the metrics must answer.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9100/metrics', timeout=4)"]
CMD ["dgnet", "worker"]

FROM runtime AS service
COPY --from=build-service /opt/dgnet /opt/dgnet
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
CMD ["dgnet", "serve", "--host", "0.0.0.0"]
