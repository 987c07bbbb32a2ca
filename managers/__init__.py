"""What a cluster decides and does: one class per file under the names that users know, put together in `pipeline.py`.

Deciders are pure: `decide(state, now)` compares what is with what should be (decision.py). Shells carry out:
job_manager.py, model_installer.py, data_counter.py. All of them go through the replicated state (state/); what they
need of the world stands in ports.py. Nothing here imports `p2p`. Open first: pipeline.py.
"""
