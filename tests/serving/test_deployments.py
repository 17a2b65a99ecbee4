from pathlib import Path

import yaml

from catray.serving import deployments
from catray.serving.schemas import ServeArgs

SERVE_YAML = Path(__file__).parents[2] / "configs" / "serve.yaml"
PARTS = (deployments.Ingress, deployments.TextStage, deployments.MultimodalStage)


def test_all_fits_on_one_cpu_with_some_to_spare() -> None:
    assert sum(part.ray_actor_options["num_cpus"] for part in PARTS) < 1


def test_serve_yaml_is_serve_s_and_ours() -> None:
    from ray.serve.schema import ServeDeploySchema

    raw = yaml.safe_load(SERVE_YAML.read_text(encoding="utf-8"))
    application = ServeDeploySchema.model_validate(raw).applications[0]
    ServeArgs.model_validate(application.args)
    assert application.import_path == "catray.serving.app:build_app"
    assert {deployment.name for deployment in application.deployments} == {part.name for part in PARTS}
    by_name = {deployment["name"]: deployment for deployment in raw["applications"][0]["deployments"]}
    for part in PARTS:  # what is written in the yaml first is what is built in
        written = by_name[part.name]
        assert written["max_ongoing_requests"] == part.max_ongoing_requests
        assert written["max_queued_requests"] == part._deployment_config.max_queued_requests
        assert written["ray_actor_options"]["num_cpus"] == part.ray_actor_options["num_cpus"]
        if part is not deployments.Ingress:
            assert written["max_ongoing_requests"] >= 2 * written["user_config"]["max_batch_size"]
