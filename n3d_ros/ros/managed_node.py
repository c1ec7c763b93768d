"""The managed node ``n3d``: lifecycle and wiring.

What it does with images is in ``pipeline``, with requests in ``answering``.

Threads: the executor's stores images and waits for nothing; the worker's owns the grounder; the main one waits for
signals. See ``docs/decisions/0004-node-threads.md``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from n3d_ros.errors import N3dError, StatusCode
from n3d_ros.inference.grounder import Grounder, facts_of
from n3d_ros.ros.answering import AnswerDesk
from n3d_ros.ros.ask_job import going_down
from n3d_ros.ros.compat.diagnostics import DiagnosticReport, DiagnosticsPublisher
from n3d_ros.ros.compat.tf2 import TransformSource, create_transform_listener
from n3d_ros.ros.config import GEOMETRIC, LANGUAGE_MODEL, NodeConfig
from n3d_ros.ros.depth_keeper import DepthFactory
from n3d_ros.ros.health import grounding_health, input_health, pointing_health
from n3d_ros.ros.inputs import ImageInputs
from n3d_ros.ros.ledger import Ledger
from n3d_ros.ros.loading import depth_from_config, grounder_from_config, load_grounder, model_from_config, told
from n3d_ros.ros.looking import STOPPED, Look, take_in
from n3d_ros.ros.model_keeper import ModelFactory, ModelKeeper
from n3d_ros.ros.name_watch import NameWatch
from n3d_ros.ros.node_depth import NodeDepth
from n3d_ros.ros.pacing import Pacer
from n3d_ros.ros.pairing import RgbdPair
from n3d_ros.ros.parameters import NodeParameters
from n3d_ros.ros.pipeline import FramePipeline
from n3d_ros.ros.plain_text import plain
from n3d_ros.ros.pointing import Pointing
from n3d_ros.ros.requests import RequestServer, RequestTimes
from n3d_ros.ros.results import Results
from n3d_ros.ros.transitions import logged
from n3d_ros.ros.worker import Worker
from n3d_ros.scene.questions.reading import read

NODE_NAME = "n3d"
WARN_EVERY_S = 5.0  # the same reason is logged again after this time
ANSWER_GRACE_S = 1.0  # longest wait for the executor to take answers up when the node goes down ...
SENDING_S = 0.2  # ... and then for them to leave: rclpy sends after a handler has ended, and tells nobody
PATIENT_STOP_S = 10.0  # time for the grounder's running step when the node is cleaned up ...
HASTY_STOP_S = 2.0  # ... and when the process is asked to end; launch kills it after 5 s
LOCKED_STATES = ("inactive", "active")

GrounderFactory = Callable[[NodeConfig], Grounder]
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class N3dNode(LifecycleNode):
    """Finds objects in colour and depth images, publishes them, and answers requests.

    Args:
        make_grounder: makes the grounder that needs no model, at once; tests give their own.
        stop: set when the process is asked to end, so that a grounder that loads for long holds nothing up.
        make_model: loads the language model that the settings name; tests give their own.
        make_depth: loads the depth model that they name; tests give their own.
        **kwargs: passed on to ``rclpy.node.Node``.

    Raises:
        ConfigurationError: a parameter of a wrong type or out of its range.
    """

    def __init__(
        self,
        *,
        make_grounder: GrounderFactory = grounder_from_config,
        stop: threading.Event | None = None,
        make_model: ModelFactory = model_from_config,
        make_depth: DepthFactory = depth_from_config,
        **kwargs: Any,
    ) -> None:
        super().__init__(NODE_NAME, **kwargs)
        self._make_grounder = make_grounder
        self._stop = stop or threading.Event()
        self._settings = NodeParameters(self, NodeConfig(), is_locked=lambda: self.state_label in LOCKED_STATES)
        self._settings.on_change(self._on_config)
        self._ledger = Ledger()
        self._warned_s: dict[str, float] = {}
        self._tf: TransformSource | None = None
        self._is_closing = False
        self._next_id = 1  # kept over cleanup and configure: a number never means another thing while the node runs
        self._worker: Worker[RgbdPair] | None = None
        self._pacer = Pacer()
        self._pipeline: FramePipeline | None = None
        self._results: Results | None = None
        self._desk: AnswerDesk | None = None
        self._inputs: ImageInputs | None = None
        self._pointing: Pointing | None = None
        self._models = ModelKeeper(
            make_model,
            stop=self._stop,
            in_executor=self._in_executor,
            on_ended=self._on_loading_ended,
            info=self.get_logger().info,
            error=self.get_logger().error,
        )
        self._depth = NodeDepth(
            self,
            make_depth,
            ledger=self._ledger,
            stop=self._stop,
            in_executor=self._in_executor,
            on_ended=self._on_loading_ended,
        )
        self._requests = RequestServer(self, desk=self._active_desk, times=self._request_times)
        self._diagnostics = DiagnosticsPublisher(self, hardware_id=self.get_fully_qualified_name())
        self._diagnostics.add("input", self._input_health)
        self._diagnostics.add("grounding", self._grounding_health)
        self._diagnostics.add("depth", self._depth.health)
        self._diagnostics.add("name", NameWatch(self).health)
        self._diagnostics.add("pointing", self._pointing_health)
        back = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        self._jump_handle = self.get_clock().create_jump_callback(back, post_callback=self._on_clock_jump)

    @property
    def config(self) -> NodeConfig:
        """The settings as they are now."""
        config: NodeConfig = self._settings.config
        return config

    @property
    def state_label(self) -> str:
        """Name of the lifecycle state, such as "active"."""
        return str(self._state_machine.current_state[1])

    def autostart(self) -> bool:
        """Configures and activates.

        Returns:
            Whether the node is active.
        """
        return bool(self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS)

    # ------------------------------------------------------------------------------------------------- transitions

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Makes the grounder and the publishers, and begins to load the model when one is named.

        Args:
            state: where it comes from.

        Returns:
            FAILURE when the grounder cannot be made; configure again once the reason is gone.
        """
        started_s = time.monotonic()
        config = self.config
        base = replace(config, grounder=GEOMETRIC) if config.chosen_grounder == LANGUAGE_MODEL else config
        self._ledger.clear()
        self._pacer.reset()
        self._worker = Worker(self._on_pair_in_worker, queue_size=config.request.queue_size)
        self._worker.start()
        try:
            grounder = load_grounder(self._worker, lambda: self._make_grounder(base), self._stop)
        except Exception as error:  # whatever a backend raises, the node stays and says so
            self.get_logger().error(f"Not configured: the grounder {base.grounder!r} cannot be made. {told(error)}")
            self._release()
            return FAILURE
        read("what do you see?")  # the grammar is made at the first reading: not while somebody waits for an answer
        self._models.keep(grounder)  # from here on it is closed by _release, whatever becomes of the rest
        self._tf = create_transform_listener(self, cache_s=config.tf_cache_s)
        self._pipeline = FramePipeline(
            config.pipeline,
            grounder,
            self._tf.lookup,
            now_s=time.monotonic,
            frames=self._depth.frame_maker(config),
            first_id=self._next_id,
            on_failure=self._models.on_failure,
        )
        self._results = Results(self, self._ledger)
        self._desk = AnswerDesk(
            self._pipeline,
            clock_ns=self._clock_ns,
            config=lambda: self.config.request,
            explain=self._explain,
            memory=lambda: self.config.memory,
        )
        took_s = time.monotonic() - started_s
        self.get_logger().info(f"Configured in {took_s:.1f} s: {grounder.name} on {grounder.device}.")
        self._depth.begin(self._worker, config)
        self._models.begin(self._worker, self._pipeline, config)
        return super().on_configure(state)

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribes to the images; while a model is loaded, as soon as it is there.

        Args:
            state: where it comes from.

        Returns:
            SUCCESS.
        """
        if self._loading:
            self.get_logger().info(f"Images are waited for once this is done: {self._loading}.")
        else:
            self._subscribe()
        return super().on_activate(state)

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends the subscriptions, answers what waits and clears the viewers.

        Args:
            state: where it comes from.

        Returns:
            SUCCESS.
        """
        self._stop_inputs(N3dError("The node was deactivated.", code=StatusCode.NOT_ACTIVE))
        return super().on_deactivate(state)

    @logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees the grounder and the publishers.

        Args:
            state: where it comes from.

        Returns:
            SUCCESS.
        """
        self._release()
        return super().on_cleanup(state)

    @logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Answers what waits, and frees everything.

        Args:
            state: where it comes from.

        Returns:
            SUCCESS.
        """
        self._stop_inputs(going_down())
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees everything after an unexpected error in a transition.

        Args:
            state: where it comes from.

        Returns:
            SUCCESS: the node is unconfigured, and can be configured again.
        """
        self.get_logger().warning(f"Left {state.label!r} after an error; configure again when its reason is gone.")
        self._stop_inputs(N3dError("The node failed; see its log.", code=StatusCode.NOT_ACTIVE))
        self._release()
        return SUCCESS

    def _subscribe(self) -> None:
        pipeline, desk, results = self._pipeline, self._desk, self._results
        if self._depth.blocks:
            self.get_logger().error(f"Images are not subscribed. {self._depth.trouble}")
            return
        if self._inputs is None and pipeline is not None and desk is not None and results is not None:
            self._pointing = Pointing(self, pipeline, desk, results)
            self._inputs = ImageInputs(self, self.config, on_pair=self._on_pair, on_drop=self._on_drop)
            self._depth.subscribe(self.config, pipeline.lookup, self._on_drop)
            self.get_logger().info(f"Active: waiting for images on {', '.join(self._inputs.topics)}.")

    def _stop_inputs(self, error: N3dError) -> None:
        if self._inputs is None:
            return
        self._inputs.close()
        self._inputs = None
        self._depth.unsubscribe()
        if self._pointing is not None:
            self._pointing.close()
            self._pointing = None
        self._drop_slot("deactivated", "The node was deactivated before it looked at the newest pair of images.")
        if self._worker is not None:
            self._worker.abandon_all(error)
        if self._desk is not None:
            self._desk.forget()
        self._call_worker(self._start_anew)

    def _release(self) -> None:
        worker, pipeline = self._worker, self._pipeline
        busy = f"What was under way ({self._loading})" if self._loading else "The running look"
        results, transforms, desk = self._results, self._tf, self._desk
        self._worker = self._pipeline = self._desk = self._results = self._tf = None
        close_grounders, close_depth = self._models.close_grounders(), self._depth.release()
        self._models.detach()
        if worker is not None:
            worker.call(close_grounders)  # in the thread that made them
            worker.call(close_depth)
            error = going_down()
            if desk is not None:
                desk.abandon(error)  # its client may be gone before a slow step ends
            timeout_s = HASTY_STOP_S if self._stop.is_set() else PATIENT_STOP_S
            if not worker.stop(error, timeout_s):
                self.get_logger().warning(f"{busy} did not stop within {timeout_s} s; its thread is left behind.")
        if pipeline is not None:
            self._next_id = pipeline.next_id
        if transforms is not None:
            transforms.close()
        if results is not None:
            results.close()
        self._depth.close()

    # --------------------------------------------------------------------------------------------------- the models

    @property
    def _loading(self) -> str:
        """What is being loaded and how far; empty: nothing."""
        return self._depth.loading or self._models.loading

    def _on_loading_ended(self) -> None:
        if self.state_label == "active" and not self._loading:
            self._subscribe()

    def _in_executor(self, function: Callable[[], None]) -> None:
        """Runs a function where the callbacks run: the node's own fields are changed there alone."""
        executor = self.executor
        if executor is None:
            function()
        else:
            executor.create_task(function)

    def _request_times(self) -> RequestTimes:
        """How long requests may take with the grounder in use."""
        config, desk = self.config.request, self._desk
        slow = self._depth.source is not None or (desk is not None and desk.is_open_vocabulary)
        return RequestTimes(answer_s=config.model_timeout_s if slow else config.timeout_s, image_s=config.timeout_s)

    def _input_health(self) -> DiagnosticReport:
        desk = self._desk
        pair = None if desk is None else desk.freshness.pair
        newest_ns = None if pair is None else pair.stamp_ns
        return input_health(self._ledger, self._explain, self._inputs is not None, newest_ns)

    def _grounding_health(self) -> DiagnosticReport:
        pipeline = self._pipeline
        name, device = ("", "") if pipeline is None else (pipeline.grounder.name, pipeline.grounder.device)
        return grounding_health(
            self._ledger,
            name,
            device,
            loading=self._models.loading,
            trouble=self._models.trouble,
            facts=() if pipeline is None else facts_of(pipeline.grounder),
            counts=None if pipeline is None else pipeline.counts,
        )

    def _pointing_health(self) -> DiagnosticReport:
        return pointing_health(None if self._pointing is None else self._pointing.said)

    # ------------------------------------------------------------------------------------- executor's thread: store

    def _on_pair(self, pair: RgbdPair) -> None:
        worker, desk = self._worker, self._desk
        if worker is None or desk is None:
            return
        desk.saw(pair)
        take_in(pair, worker, self._ledger, self._pacer, self.config)

    def _on_drop(self, reason: str, sentence: str) -> None:
        self._ledger.count_drop(reason, sentence)
        self._warn(reason, sentence)
        if reason == "time_jumped_back":
            self._restart(None if self._inputs is None else self._inputs.newest_ns)

    def _on_clock_jump(self, _jump: Any) -> None:
        self.get_logger().warning("The clock jumped back: scene and transforms start anew.")
        if self._inputs is not None:
            self._inputs.clear()
        self._restart(self._clock_ns())

    def _restart(self, now_ns: int | None) -> None:
        """Forgets everything that belongs to the time before a jump back to ``now_ns``."""
        self._pacer.reset()
        self._depth.clear()
        if self._tf is not None:
            self._tf.clear(now_ns)
        if self._desk is not None:
            self._desk.forget()
        self._drop_slot("before_time_jump", "The newest pair of images was from before time jumped back.")
        self._call_worker(self._start_anew)

    def _drop_slot(self, reason: str, sentence: str) -> None:
        """Takes the pair that waits for the worker away, counted: each pair received is used or dropped."""
        if self._worker is not None and self._worker.clear_slot() is not None:
            self._ledger.count_drop(reason, sentence)

    def _on_config(self, config: NodeConfig) -> None:
        pipeline = self._pipeline
        if pipeline is not None:
            self._call_worker(lambda: pipeline.configure(config.pipeline))
            self._call_worker(lambda: self._depth.configure(config))
            self._models.follow(config)

    # ----------------------------------------------------------------------------------------------- worker's thread

    def _on_pair_in_worker(self, pair: RgbdPair) -> None:
        pipeline, results, worker = self._pipeline, self._results, self._worker
        if pipeline is None or results is None or worker is None:
            self._ledger.count_drop(*STOPPED)
            return
        look = Look(
            pipeline=pipeline,
            results=results,
            worker=worker,
            ledger=self._ledger,
            config=self.config,
            is_active=lambda: self._inputs is not None,
            clock_ns=self._clock_ns,
        )
        outcome = look.at(pair)
        if outcome.status is StatusCode.CANCELLED:
            self._pacer.reset()
        elif not outcome.is_ok:
            self._warn(outcome.reason, outcome.message)

    def _start_anew(self) -> None:
        if self._pipeline is not None:
            self._pipeline.reset()
        if self._results is not None:
            self._results.clear_markers()

    # ------------------------------------------------------------------------------------------------------- helpers

    def _clock_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _call_worker(self, function: Callable[[], None]) -> None:
        if self._worker is not None:
            self._worker.call(function)

    def _active_desk(self) -> tuple[AnswerDesk, Worker[Any]]:
        if loading := self._loading:
            raise N3dError(
                f"The node is not ready yet: {loading}; ask again when that is done.",
                code=StatusCode.NOT_ACTIVE,
            )
        if self._stop.is_set() or self._is_closing:
            raise going_down()
        if self._depth.blocks:
            raise N3dError(self._depth.trouble, code=StatusCode.BACKEND_FAILED)
        if self._inputs is None or self._desk is None or self._worker is None:
            raise N3dError(
                f"The node is {self.state_label}, not active; activate it: "
                f"`ros2 lifecycle set {self.get_fully_qualified_name()} activate`.",
                code=StatusCode.NOT_ACTIVE,
            )
        return self._desk, self._worker

    def _explain(self) -> str:
        inputs = self._inputs
        if inputs is None:
            return f"The node does not subscribe: it is {self._loading or 'not active'}."
        return " ".join(part for part in (self._ledger.newest_mend(), inputs.explain()) if part)

    def _warn(self, reason: str, sentence: str) -> None:
        now_s = time.monotonic()
        if now_s - self._warned_s.get(reason, -WARN_EVERY_S) >= WARN_EVERY_S:
            self._warned_s[reason] = now_s
            self.get_logger().warning(f"Dropped ({reason}): {plain(sentence)}")

    def close(self) -> None:
        """Answers what waits and what runs, stops the worker; the node can then be destroyed."""
        self._is_closing = True
        is_asked = self._requests.open > 0
        self._stop_inputs(going_down())
        self._release()
        deadline_s = time.monotonic() + ANSWER_GRACE_S
        while self._requests.open and time.monotonic() < deadline_s:
            time.sleep(0.01)
        if is_asked:
            time.sleep(SENDING_S)

    def destroy_node(self) -> None:
        """Leaves the graph at once; rclpy alone would keep the node there until Python collects its parts."""
        self._requests.close()
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()
