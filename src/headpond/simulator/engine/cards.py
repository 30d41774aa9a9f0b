"""GPUs: what their data sheets say, and which share of it engines reach.

Memory is what the driver shows, in bytes; bandwidth in bytes a second; compute in dense FP16 tensor
operations a second.
"""

import msgspec


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU. `reads` and `computes` are the shares of its peaks that an engine reaches."""

    name: str
    memory: float
    bandwidth: float
    compute: float
    reads: float
    computes: float
    source: str


MEASURED_READS = 0.925
"""Of the RTX 4090's bandwidth, fitted to the LLMServingSim measurement (see `calibration.py`). A
sweep on an A100 reaches 0.77 with one request, base time included (johnmusgrave.com, vLLM 0.23)."""

SMALL_COMPUTES = 0.8
LARGE_COMPUTES = 0.75
"""The RTX 4090 reaches 0.88 by the same fit; an A100 about 0.75 by the same sweep, which has 6.6
times the throughput at 8 clients; two older A100 in tensor parallel 0.5 (SageServe). Where nothing
was measured for a card these are estimates."""

CARDS = {
    card.name: card
    for card in (
        Card(
            name="T4",
            memory=15_360 * 2**20,
            bandwidth=320e9,
            compute=65e12,
            reads=0.85,
            computes=0.4,
            source="NVIDIA T4 data sheet; shares estimated: no Marlin kernels before compute "
            "capability 8.0 (vLLM, supported hardware), so 4-bit weights are unpacked slowly",
        ),
        Card(
            name="L4",
            memory=23_034 * 2**20,
            bandwidth=300e9,
            compute=121e12,
            reads=MEASURED_READS,
            computes=0.6,
            source="NVIDIA L4 data sheet (242 TFLOPS with sparsity); the share of compute is an "
            "estimate, low because its 72 W do not hold the clock",
        ),
        Card(
            name="A10G",
            memory=23_028 * 2**20,
            bandwidth=600e9,
            compute=70e12,
            reads=MEASURED_READS,
            computes=SMALL_COMPUTES,
            source="NVIDIA A10G data sheet; shares estimated",
        ),
        Card(
            name="A100",
            memory=81_920 * 2**20,
            bandwidth=2_039e9,
            compute=312e12,
            reads=0.85,
            computes=LARGE_COMPUTES,
            source="NVIDIA A100 80 GB SXM data sheet; reads as the sweep on an A100 40 GB implies",
        ),
        Card(
            name="A100-40",
            memory=40_960 * 2**20,
            bandwidth=1_555e9,
            compute=312e12,
            reads=0.85,
            computes=LARGE_COMPUTES,
            source="NVIDIA A100 40 GB data sheet; reads as 75 tokens/s at one request imply "
            "(johnmusgrave.com, vLLM 0.23)",
        ),
        Card(
            name="H100",
            memory=81_559 * 2**20,
            bandwidth=3_350e9,
            compute=989e12,
            reads=0.9,
            computes=LARGE_COMPUTES,
            source="NVIDIA H100 SXM data sheet; reads as 6.48 ms a token at one request imply "
            "(yobitelcomm.github.io/bench, vLLM 0.21)",
        ),
        Card(
            name="RTX4090",
            memory=25_250_627_584,
            bandwidth=1_008e9,
            compute=165.2e12,
            reads=MEASURED_READS,
            computes=0.884,
            source="NVIDIA Ada whitepaper (FP16 with FP32 accumulation); shares fitted to the "
            "LLMServingSim measurement of vLLM 0.19",
        ),
    )
}
