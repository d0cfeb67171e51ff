from hypothesis import settings

# Without deadlines, so that a busy machine does not fail the tests.
settings.register_profile("scheduling", settings.default, deadline=None)
settings.load_profile("scheduling")
