"""Whose box: where the people in a stream are, from a detector or a feed, and who is who over time.

    a detector (ONNX, HOG) ──┐
    a feed (JSON Lines, MQTT) ┴─ sightings ─► tracks ─► whereabouts ─► the boxes that a window is asked about

Boxes are x1, y1, x2, y2 in pixels of the frame; times are seconds of the source.
"""
