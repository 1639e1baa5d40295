"""What `a3d_edge.demo.rendered` draws with: from a class's name to painted people, one module a step.

    moves ─→ blows ─┐
      ├───────────→ actions ─────┐
      └→ signs ─→ idling ─┐      ├→ skeleton, hands ─→ people, closeup ─┐
           └────────────→ gestures   (joints)          (paint)           ├─→ a3d_edge.demo.rendered
      (who does what, and when)                        scenery ──────────┘
                                                       (camera, place, light)

Not a public interface: `a3d_edge.demo.rendered` is. All is numpy and OpenCV, and all that varies comes from
the generator that is passed in.
"""
