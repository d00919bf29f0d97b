"""Schedules, denoisers and the steps of sampling."""
