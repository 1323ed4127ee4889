"""The main job: two tasks on real digits, with and without a block, and what the blocks learned."""
