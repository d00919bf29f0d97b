"""Files of ``perco`` with a released PerCo (SD) model."""
