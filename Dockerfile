# mabe in a container; docs/pipelines.md says how to build and run it.
#     docker build -t mabe .                             for CPUs
#     docker build -t mabe:cuda --build-arg TORCH=cu128 .  for NVIDIA GPUs
ARG PYTHON=3.12
FROM python:${PYTHON}-slim
# What torch is built for: cpu, cu126, cu128 … (the names of uv's --torch-backend).
ARG TORCH=cpu
ARG EXTRAS=cloud,nwb,plot,slp

# LightGBM's OpenMP.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir uv \
    && uv pip install --system --no-cache --torch-backend="${TORCH}" ".[${EXTRAS}]" \
    && pip uninstall -y uv \
    && rm -rf /src

# Prepared stores; give a volume to keep them.
ENV MABE_CACHE=/cache
RUN mkdir -m 1777 /cache
WORKDIR /work
ENTRYPOINT ["mabe"]
CMD ["--help"]
