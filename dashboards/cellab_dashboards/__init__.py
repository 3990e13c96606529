"""plotly reports of cellab's studies, built from the files that a study leaves."""
