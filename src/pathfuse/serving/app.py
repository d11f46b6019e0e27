"""The application: what stands at which address."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import Response
from threadpoolctl import threadpool_limits

import pathfuse
from pathfuse.errors import InputError
from pathfuse.files.bodies import READERS, bytes_of_table
from pathfuse.serving.answers import JSON, json_answer, problem
from pathfuse.serving.batches import TOGETHER, Scorer
from pathfuse.serving.body import body_of, media_type_of
from pathfuse.serving.gate import Gate, told
from pathfuse.serving.given import Given
from pathfuse.serving.logs import ABOUT, NAME
from pathfuse.serving.metrics import Metrics
from pathfuse.serving.openapi import (
    METRICS,
    PREDICT,
    describe,
    first_answers,
    infer_body,
    predict_body,
)
from pathfuse.serving.refused import RefusedError
from pathfuse.serving.samples import given_samples
from pathfuse.serving.scoring import Answers, score
from pathfuse.serving.settings import Settings
from pathfuse.serving.tables import given_table
from pathfuse.serving.tensors import chosen_outputs, given_tensors, inputs_of, outputs_of
from pathfuse.workflows.model import FusedModel

SMALL_BODY = 64 << 10
"""Bytes of a body that is read in the event loop; a larger one goes to a thread as a whole."""
LONGEST_SENTENCE = 1000
"""Characters of what is wrong: it may name what was sent."""
Reader = Callable[[bytes], tuple[Given, Any]]
Writer = Callable[[Answers, Any], Response]


class Server:
    """A model and what answers for it."""

    def __init__(self, model: FusedModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.metrics = Metrics()
        self.scorer = Scorer(model)
        self.example = first_answers(model)  # shows that the model works, and warms it
        inputs = inputs_of(model)
        outputs = [
            {k: v for k, v in {**one, "shape": [-1, *one["shape"][1:]]}.items() if k != "data"}
            for one in outputs_of(model, self.example).values()
        ]
        self.about = {
            "name": settings.name,
            "versions": [settings.version],
            "platform": "pathfuse",
            "inputs": inputs,
            "outputs": outputs,
            "parameters": {
                "endpoint": model.endpoint.kind,
                "predicts": list(model.endpoint.named),
                "experts": list(model.experts),
            },
        }

    async def answer(self, request: Request, read: Reader, write: Writer) -> Response:
        """Reads, scores and answers one request, each within the limits."""
        limits = self.settings.limits
        raw = await body_of(request, limits)
        try:
            async with asyncio.timeout(limits.seconds):
                if len(raw) > SMALL_BODY:
                    whole = partial(self._whole, raw, read, write)
                    response, answers = await self.scorer.in_large_lane(whole)
                else:
                    given, asked = self._checked(read, raw)
                    if given.n > TOGETHER:
                        work = partial(score, self.model, given)
                        answers = await self.scorer.in_large_lane(work)
                    else:
                        answers = await self.scorer.score(given)
                    response = write(answers, asked)
        except TimeoutError:
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"there was no answer within {limits.seconds:g} seconds; try again later, or send "
                "fewer samples",
            ) from None
        told(request.scope).rows = len(answers.ids)
        lacking = answers.absent.sum(axis=0).tolist()
        self.metrics.fused(len(answers.ids), list(zip(answers.experts, lacking, strict=True)))
        return response

    def _whole(self, raw: bytes, read: Reader, write: Writer) -> tuple[Response, Answers]:
        given, asked = self._checked(read, raw)
        answers = score(self.model, given)
        return write(answers, asked), answers

    def _checked(self, read: Reader, raw: bytes) -> tuple[Given, Any]:
        """What a body says, if it does not say too much.

        Raises:
            RefusedError: It has more samples than may be.
        """
        given, asked = read(raw)
        if given.n > self.settings.limits.rows:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the request has {given.n:,} samples, but {self.settings.limits.rows:,} are allowed; "
                "send it in parts",
            )
        return given, asked

    async def predict(self, request: Request) -> Response:
        """``/predict``."""
        kind, accepted = media_type_of(request), request.headers.get("accept", "")
        rows = self.settings.limits.rows

        def read(raw: bytes) -> tuple[Given, None]:
            if kind == JSON:
                return given_samples(self.model.endpoint, raw), None
            return given_table(self.model, kind, raw, rows), None

        if kind != JSON and kind not in READERS:
            raise RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"the Content-Type of the body must be {JSON} or {' or '.join(READERS)}",
            )
        table = next((one for one in READERS if one in accepted), None)

        def write(answers: Answers, _: None) -> Response:
            if table is not None:
                return Response(bytes_of_table(answers.frame(), table), media_type=table)
            model = {"name": self.settings.name, "version": self.settings.version}
            return json_answer({"model": model, "samples": answers.rows()})

        return await self.answer(request, read, write)

    async def infer(self, request: Request) -> Response:
        """``/v2/models/<name>/infer``."""
        if media_type_of(request) not in (JSON, ""):
            raise RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the Content-Type of the body must be {JSON}"
            )
        if "inference-header-content-length" in request.headers:
            raise RefusedError(
                HTTPStatus.BAD_REQUEST, "binary tensors are not read: send the data as JSON"
            )

        def write(answers: Answers, asked: Any) -> Response:
            content = {"model_name": self.settings.name, "model_version": self.settings.version}
            if "id" in asked:
                content["id"] = asked["id"]
            outputs = chosen_outputs(outputs_of(self.model, answers), asked)
            return json_answer({**content, "outputs": outputs})

        return await self.answer(request, partial(given_tensors, self.model), write)


def create_app(model: FusedModel, settings: Settings) -> FastAPI:
    """The application that answers for a model.

    Args:
        model: From ``pathfuse.load``.
        settings: Limits, token, and what the model is called.
    """
    threadpool_limits(1)  # of BLAS, in this process: matrices are small, and workers are many
    server = Server(model, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        about = {"event": "ready", "model": settings.name, "version": settings.version}
        logging.getLogger(NAME).info("ready", extra={ABOUT: about})
        yield
        server.scorer.close()

    app = FastAPI(
        title="pathfuse",
        version=pathfuse.__version__,
        description=f"Fused predictions of the model '{settings.name}': {model.endpoint.in_words}.",
        openapi_url=None,  # has a route below, so that the log knows it
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    _add_routes(app, server)
    _add_faults(app)
    describe(app, settings, model)
    app.add_middleware(Gate, settings=settings, metrics=server.metrics)
    return app


def _add_routes(app: FastAPI, server: Server) -> None:
    settings = server.settings

    def named(name: str) -> None:
        if name != settings.name:
            raise RefusedError(
                HTTPStatus.NOT_FOUND, f"there is no such model; this server has '{settings.name}'"
            )

    async def predict(request: Request) -> Response:
        """Fuse what experts said of samples."""
        return await server.predict(request)

    async def infer(request: Request, name: str) -> Response:
        """Fuse tensors of experts' outputs."""
        named(name)
        return await server.infer(request)

    async def about_server() -> Response:
        """What this server is."""
        about = {"name": "pathfuse", "version": pathfuse.__version__, "extensions": []}
        return json_answer(about)

    async def about_model(name: str) -> Response:
        """The model's inputs and outputs."""
        named(name)
        return json_answer(server.about)

    async def live() -> Response:
        """Whether the server runs."""
        return json_answer({"live": True})

    async def ready() -> Response:
        """Whether the server answers requests."""
        return json_answer({"ready": True})

    async def model_ready(name: str) -> Response:
        """Whether the model answers requests."""
        named(name)
        return json_answer({"name": settings.name, "ready": True})

    async def metrics() -> Response:
        """Counts and times for Prometheus."""
        return Response(server.metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi() -> Response:
        """What there is, for programs."""
        return json_answer(app.openapi())

    app.get("/openapi.json", include_in_schema=False)(openapi)
    app.post(PREDICT, openapi_extra=predict_body(server.model))(predict)
    app.post("/v2/models/{name}/infer", openapi_extra=infer_body(server.about))(infer)
    app.get("/v2")(about_server)
    app.get("/v2/models/{name}")(about_model)
    app.get("/v2/health/live")(live)
    app.get("/v2/health/ready")(ready)
    app.get("/v2/models/{name}/ready")(model_ready)
    app.get(METRICS)(metrics)


def _add_faults(app: FastAPI) -> None:
    """What is wrong becomes a status and a sentence."""

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)  # noqa: S101 - as registered below
        answer = problem(error.status, str(error))
        if error.status in _UNREAD:
            answer.headers["connection"] = "close"
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            answer.headers["retry-after"] = "1"
        return answer

    async def wrong(_: Request, error: Exception) -> Response:
        sentence = " ".join(str(error)[:LONGEST_SENTENCE].split())
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, sentence)

    async def nowhere(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as registered below
        status = HTTPStatus(error.status_code)
        answer = problem(status, _SENTENCES.get(status, status.phrase.lower()))
        answer.headers.update(dict(error.headers or {}))
        return answer

    app.add_exception_handler(RefusedError, refused)
    app.add_exception_handler(InputError, wrong)
    app.add_exception_handler(HTTPException, nowhere)


_UNREAD = (
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
"""Answers before which the body was not read to its end."""
_SENTENCES = {
    HTTPStatus.NOT_FOUND: "there is nothing at this address; /openapi.json lists what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address is asked in another way; /openapi.json says how",
}
