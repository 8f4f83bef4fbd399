from django import forms
from django.contrib.auth.decorators import login_required
from django.http import FileResponse
from django.shortcuts import get_object_or_404, redirect, render

from ecs.documents import vault
from ecs.documents.models import Document

PAGE = 50


class UploadForm(forms.Form):
    file = forms.FileField(label="Document", max_length=250)


def visible(user):
    """Return the documents that the user may see: internal users all, others their own."""
    return Document.objects.all() if user.profile.is_internal else Document.objects.filter(uploaded_by=user)


@login_required
def index(request):
    form = UploadForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        upload = form.cleaned_data["file"]
        vault.store(upload.name, upload.chunks(), request.user)
        return redirect("index")
    documents = visible(request.user)
    context = {"form": form, "documents": documents.select_related("uploaded_by")[:PAGE], "count": documents.count()}
    return render(request, "index.html", context)


@login_required
def download(request, identifier):
    document = get_object_or_404(visible(request.user), uuid=identifier)
    return FileResponse(vault.open_document(document), as_attachment=True, filename=document.name)
