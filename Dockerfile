# A worker of the queues that no Lambda function serves, for containers outside of AWS. It needs DATABASE_URL.
FROM python:3.13-slim
WORKDIR /bundle
COPY shared/requirements.txt shared/
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement shared/requirements.txt
COPY shared/decant shared/decant
COPY shared/domain shared/domain
ENV PYTHONPATH=shared PYTHONUNBUFFERED=1 TASK_MODULES=domain.tasks
USER nobody
CMD ["python", "-m", "decant", "worker"]
