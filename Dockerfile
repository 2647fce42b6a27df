# scratchnet for CPUs: docker build --tag scratchnet . && docker run --interactive --tty scratchnet
FROM python:3.11-slim-bookworm AS tools
RUN apt-get update && apt-get install --yes --no-install-recommends g++ git make && rm -rf /var/lib/apt/lists/*
# PyTorch's builds without CUDA: 200 MB in place of gigabytes.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

FROM tools
WORKDIR /scratchnet
COPY . .
RUN pip install --constraint constraints.txt torch numpy ninja pybind11 'setuptools>=77'
RUN SCRATCHNET_REQUIRE_EXT=1 pip install --constraint constraints.txt --no-build-isolation '.[data]'
WORKDIR /root
CMD ["scratchnet", "info"]
