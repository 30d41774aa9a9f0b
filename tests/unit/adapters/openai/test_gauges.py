import pytest

from headpond.adapters.openai.gauges import read_gauges
from headpond.ports.engine import Gauges

VLLM = b"""\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a}b \\" c"} 3.0
vllm:num_requests_running{engine="1",model_name="a}b \\" c"} 2.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 4.0
vllm:num_requests_waiting{engine="1",model_name="m"} 0.0 1395066363000
# TYPE vllm:num_requests_waiting_by_reason gauge
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 99.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.75
vllm:kv_cache_usage_perc_created{engine="1",model_name="m"} 1.7e9
"""

LLAMACPP = b"""\
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 2
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 1
"""


def test_replicas_add_up_and_the_fullest_cache_counts():
    assert read_gauges(VLLM) == Gauges(running=5, waiting=4, kv_usage=0.75)


def test_the_older_name_of_the_cache_gauge_is_known():
    assert read_gauges(b"vllm:gpu_cache_usage_perc 0.5\n").kv_usage == 0.5


def test_llama_cpp_is_known_and_tells_nothing_of_its_cache():
    assert read_gauges(LLAMACPP) == Gauges(running=2, waiting=1, kv_usage=None)


@pytest.mark.parametrize("page", [b"", b"<html>no</html>", b"vllm:num_requests_running", b"\xff"])
def test_what_is_not_there_is_unknown_and_not_zero(page: bytes):
    assert read_gauges(page) == Gauges()


@pytest.mark.parametrize("value", [b"NaN", b"+Inf", b"much"])
def test_a_value_that_is_no_number_is_unknown(value: bytes):
    assert read_gauges(b"vllm:kv_cache_usage_perc " + value) == Gauges()
