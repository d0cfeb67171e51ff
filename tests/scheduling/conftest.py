from hypothesis import settings

# Without deadlines, because a busy machine is no failure.
settings.register_profile("scheduling", settings.default, deadline=None)
settings.load_profile("scheduling")
