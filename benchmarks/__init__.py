"""What smartsub costs beside other programs of its kind: `./run bench` measures, RESULTS.md has what was measured."""
