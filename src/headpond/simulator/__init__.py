"""The simulator: the product's own policies and services on virtual time, over recorded loads.

Only arrivals, engines and machines are models. Two grains of them:

    fluid     requests flow like water; a month of millions in seconds (`fluid.py`)
    engine    each iteration of continuous batching (`engine/`), under the product's own queue,
              workers and autoscaler (`product.py`)
"""
