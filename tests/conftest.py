"""Four CPU devices, whatever the machine: arrangements over several devices are tested on any computer."""

import os

import jax

if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", "") and "JAX_NUM_CPU_DEVICES" not in os.environ:
    try:
        jax.config.update("jax_num_cpu_devices", 4)
    except RuntimeError:  # somebody has used JAX before: the devices stay as they are
        pass
