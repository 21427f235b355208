# The image of `npm run image`, made by Docker: the same root file system from the same script (image/main.ts).
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=0.1.0 --tag REGISTRY/pannier:0.1.0 --push .
# The build stage runs as the architecture that the image is for, so that `ldd` names the right libraries.
FROM node:26-bookworm-slim AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libatomic1 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN npm run image -- --folder /image

FROM scratch
ARG VERSION
COPY --from=build /image/ /
USER 65532:65532
WORKDIR /app
ENV PATH=/usr/bin
# One image, two processes: the chart starts the operator by a command of its own, /app/operator.js.
ENTRYPOINT ["/usr/bin/node", "--max-semi-space-size=4", "/app/pannier.js"]
LABEL org.opencontainers.image.title="pannier" \
      org.opencontainers.image.description="State API beside every pod: sidecar, operator and injector" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
