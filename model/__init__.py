"""DG-Net: networks, joint training, evaluation and inference. Imports neither worker nor
service.
"""
