"""The settings of vectors: who searches many of them, and where those of tenants at rest are."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, SecretStr

_ORIGIN = r"^https?://[^\s@/?#]+$"


class VectorSettings(BaseModel):
    """Memory or Weaviate, from which size on, and how Weaviate is reached."""

    vectors: Literal["local", "weaviate"] = Field("local", description="Who searches many vectors: local or weaviate.")
    vectors_memory: int = Field(512 * 1024**2, ge=1024**2, description="Bytes of vectors that a process remembers.")
    vectors_least: int = Field(100_000, ge=1, description="Vectors of a tenant and env from which on Weaviate is used.")
    vectors_rows: int = Field(200_000, ge=0, description="Vectors up to which rows answer where Weaviate does not.")
    weaviate_address: str | None = Field(None, pattern=_ORIGIN, description="Its HTTP, such as https://weaviate:8080.")
    weaviate_grpc_address: str | None = Field(None, pattern=_ORIGIN, description="Its gRPC: https://weaviate:50051.")
    weaviate_key: SecretStr | None = Field(None, description="API key for Weaviate, one that may do everything.")
    weaviate_prefix: str = Field("Nexus", pattern=r"^[A-Z][A-Za-z0-9]{0,31}$", description="Begins its collections.")
    weaviate_seconds: float = Field(10.0, ge=1, description="How long a search in Weaviate may take while it lives.")
    weaviate_offload_bucket: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$",
        description="Bucket of the same object server that Weaviate offloads unused tenants to; unset: none.",
    )
    weaviate_offload_days: int = Field(
        30, ge=1, le=3650, description="Days without a search or a write after which a tenant is offloaded."
    )

    def wrong_vectors(self) -> str | None:
        """What is wrong with these settings, taken together."""
        missing = [name for name in ("weaviate_address", "weaviate_grpc_address") if getattr(self, name) is None]
        if self.vectors == "weaviate" and missing:
            names = ", ".join(f"NEXUS_{name.upper()}" for name in missing)
            return f"NEXUS_VECTORS is weaviate, and {names} is missing"
        places = {str(each).partition("//")[2] for each in (self.weaviate_address, self.weaviate_grpc_address)}
        if not missing and len(places) == 1:
            return "NEXUS_WEAVIATE_ADDRESS and NEXUS_WEAVIATE_GRPC_ADDRESS are one place; they need two"
        if self.vectors == "local" and len(missing) < 2:
            return "NEXUS_VECTORS is local, and an address of Weaviate is set; one of them is not meant"
        if self.vectors == "local" and self.weaviate_offload_bucket is not None:
            return "NEXUS_VECTORS is local, and NEXUS_WEAVIATE_OFFLOAD_BUCKET is set; one of them is not meant"
        if "weaviate_offload_days" in self.model_fields_set and self.weaviate_offload_bucket is None:
            return "NEXUS_WEAVIATE_OFFLOAD_DAYS is set, and NEXUS_WEAVIATE_OFFLOAD_BUCKET, the place to go, is missing"
        return None
