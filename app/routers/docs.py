"""The documentation page of the API. It loads nothing from other hosts."""

import base64
import hashlib
import re
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.core.dependencies import Public
from app.schemas.problems import Problem

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request, _: Public) -> HTMLResponse:
    """Serve Swagger UI. Its links have no host, because clients choose the `Host` header."""
    root = request.scope["root_path"]
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="Doctor Appointment API",
        swagger_js_url=f"{root}/docs/assets/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/assets/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/assets/favicon-32x32.png",
        # Do not keep the access token in the browser's storage.
        swagger_ui_parameters={"persistAuthorization": False, "tryItOutEnabled": True},
    )
    page.headers["Content-Security-Policy"] = _policy(page.body)
    return page


def _policy(page: bytes | memoryview) -> str:
    """Return a policy that allows only the scripts of this page, and requests only to this server (CSP Level 3)."""
    scripts = re.findall(rb"<script>(.*?)</script>", bytes(page), re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts]
    return "; ".join(
        [
            "default-src 'none'",
            " ".join(["script-src 'self'", *(f"'sha256-{digest}'" for digest in hashes)]),
            "style-src 'self' 'unsafe-inline'",  # Swagger UI draws with style attributes
            "img-src 'self' data:",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


class _Assets(StaticFiles):
    """Static files that browsers may cache, but must revalidate."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        # Their names do not change with their content, unlike those of the pages' files.
        response.headers["Cache-Control"] = "no-cache"
        return response


def add_documentation(app: FastAPI) -> None:
    """Serve Swagger UI from its Python package, and complete the OpenAPI document.

    FastAPI's own page would load Swagger UI from a CDN. The first line of a route's docstring becomes the summary of
    its operation.
    """
    app.mount("/docs/assets", _Assets(packages=[("fastapi_swagger", "resources")]))
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        # Declaring the model as a response would make FastAPI describe errors as application/json.
        document = generate()
        document["components"]["schemas"].setdefault("Problem", Problem.model_json_schema())
        for methods in document["paths"].values():
            for operation in methods.values():
                operation["summary"] = operation["description"].partition("\n")[0].rstrip(".")
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI documents this way to extend it
